// Stacks of inner rings: where the TSS says they are, and pushes onto them. For interrupts and call
// gates.
#pragma once

#include "backend/soft/interp/cpu.h"

namespace husk::soft::interp {

// RSP of ring `level` (0 to 2) or, with `ist` 1 to 7, of that interrupt stack, from the 64-bit TSS.
// False: raised. `external` is the EXT bit of error codes.
bool inner_stack_64(Cpu& cpu, const Op* op, uint8_t level, uint8_t ist, uint32_t external,
                    uint64_t& sp);

// SS and ESP of ring `level` from the 32-bit TSS; what is wrong with them is #TS.
bool inner_stack_32(Cpu& cpu, const Op* op, uint8_t level, uint32_t external, Segment& stack,
                    uint64_t& sp);

// The null SS that ring `level` of 64-bit mode gets.
[[nodiscard]] Segment null_stack(uint8_t level);

// Pushes with supervisor rights onto a stack that is not in SS:RSP yet. `error` is that of #SS.
class FramePusher {
 public:
  FramePusher(Cpu& cpu, const Op* op, uint64_t base, uint64_t sp, uint64_t mask, uint32_t error)
      : cpu_(cpu), op_(op), base_(base), sp_(sp), mask_(mask), error_(error) {}
  bool push(uint64_t value, uint32_t size) {
    sp_ = (sp_ & ~mask_) | ((sp_ - size) & mask_);
    return cpu_.system_store(op_, base_ + (sp_ & mask_), &value, size) ||
           cpu_.stack_reference_failed(error_);
  }
  [[nodiscard]] uint64_t sp() const { return sp_; }

 private:
  Cpu& cpu_;
  const Op* op_;
  uint64_t base_;
  uint64_t sp_;
  uint64_t mask_;
  uint32_t error_;
};

}  // namespace husk::soft::interp
