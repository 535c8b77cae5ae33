// Pushes and pops, for whoever needs more than one: a cursor that leaves RSP alone until commit(),
// so that a fault half way changes nothing.
#pragma once

#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {

// For handlers of the short forms to return.
[[gnu::noinline]] inline const Op* failed_on_stack(Cpu& cpu) {
  cpu.stack_reference_failed();
  return nullptr;
}

class StackCursor {
 public:
  StackCursor(Cpu& cpu, const Op* op)
      : cpu_(cpu), op_(op), mask_(cpu.stack_mask()), sp_(cpu.regs[contract::x86::kRsp]) {}

  template <class T>
  bool push(T value) {
    move(-static_cast<int64_t>(sizeof(T)));
    return store<T>(cpu_, op_, address(), value) || cpu_.stack_reference_failed();
  }
  template <class T>
  bool pop(T& value) {
    if (!load<T>(cpu_, op_, address(), value)) return cpu_.stack_reference_failed();
    move(sizeof(T));
    return true;
  }
  bool push_sized(uint64_t value, uint32_t size) {
    return with_size(size, [&]<class T>() { return push<T>(static_cast<T>(value)); });
  }
  bool pop_sized(uint64_t& value, uint32_t size) {
    return with_size(size, [&]<class T>() {
      T narrow;
      if (!pop<T>(narrow)) return false;
      value = narrow;
      return true;
    });
  }
  void move(int64_t bytes) {
    sp_ = (sp_ & ~mask_) | ((sp_ + static_cast<uint64_t>(bytes)) & mask_);
  }
  void set(uint64_t sp) { sp_ = (sp_ & ~mask_) | (sp & mask_); }
  [[nodiscard]] uint64_t value() const { return sp_; }
  [[nodiscard]] uint64_t address() const {
    return (sp_ & mask_) + cpu_.seg_base[contract::x86::kSs];
  }
  void commit() { cpu_.regs[contract::x86::kRsp] = sp_; }

 private:
  Cpu& cpu_;
  const Op* op_;
  uint64_t mask_;
  uint64_t sp_;
};

}  // namespace husk::soft::interp
