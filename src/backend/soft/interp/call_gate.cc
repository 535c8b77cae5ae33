#include "backend/soft/interp/call_gate.h"

#include "backend/soft/interp/inner_stack.h"
#include "backend/soft/interp/segments.h"
#include "backend/soft/interp/stack.h"

namespace husk::soft::interp {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

bool CallGate::look() {
  if ((selector_ & 0xfffc) == 0) return raise(kGp, 0);
  if (!read_descriptor(cpu_, op_, selector_, kGp, gate_, gate_address_)) return false;
  const uint8_t type = gate_ >> 40 & 0x1f;
  is_one_ = type == kTypeCallGate || (type == kTypeCallGate16 && !cpu_.long_mode());
  width_ = cpu_.long_mode() ? 8 : type == kTypeCallGate ? 4 : 2;
  return true;
}

const Op* CallGate::pass() {
  if (!read_target() || !check_target()) return nullptr;
  const bool inner = new_cpl_ != cpu_.cpl();
  if (call_ && !(inner ? push_inner_level() : push_same_level())) return nullptr;
  code_.selector = static_cast<uint16_t>((code_selector_ & ~3u) | new_cpl_);
  cpu_.seg[kCs] = code_;
  cpu_.set_cpl(new_cpl_);
  cpu_.rip = target_;
  cpu_.update_mode();
  return nullptr;
}

// The gate's own rights, and the code segment that it names.
bool CallGate::read_target() {
  const uint32_t error = selector_ & 0xfffcu;
  const uint8_t level = gate_ >> 45 & 3;
  if (level < cpu_.cpl() || level < (selector_ & 3)) return raise(kGp, error);
  if ((gate_ >> 47 & 1) == 0) return raise(kNp, error);
  code_selector_ = static_cast<uint16_t>(gate_ >> 16);
  target_ = (gate_ & 0xffff) | (gate_ >> 32 & 0xffff0000u);
  if (width_ == 2) target_ &= 0xffff;
  if (cpu_.long_mode()) {
    uint64_t high = 0;
    if (!cpu_.system_load(op_, gate_address_ + 8, &high, 8)) return false;
    if ((high >> 40 & 0x1f) != 0) return raise(kGp, error);
    target_ |= high << 32;
  }
  if ((code_selector_ & 0xfffc) == 0) return raise(kGp, 0);
  if (!read_descriptor(cpu_, op_, code_selector_, kGp, code_descriptor_, code_address_))
    return false;
  code_ = unpack_descriptor(code_selector_, code_descriptor_);
  return true;
}

bool CallGate::check_target() {
  const uint16_t type = code_.attributes;
  const uint32_t error = code_selector_ & 0xfffcu;
  const uint8_t level = type >> 5 & 3;
  const bool conforming = (type & kSegConforming) != 0;
  bool good = (type & kSegNotSystem) != 0 && (type & kSegCode) != 0 && level <= cpu_.cpl();
  if (!call_ && !conforming) good = good && level == cpu_.cpl();
  if (cpu_.long_mode()) good = good && (type & kSegLong) != 0 && (type & kSegBig) == 0;
  if (!good) return raise(kGp, error);
  if ((type & kSegPresent) == 0) return raise(kNp, error);
  if (cpu_.long_mode() ? !canonical(target_) : target_ > code_.limit) return raise(kGp, 0);
  new_cpl_ = conforming ? cpu_.cpl() : level;
  if (!mark_accessed(cpu_, op_, code_address_, code_descriptor_)) return false;
  code_ = unpack_descriptor(code_selector_, code_descriptor_);
  return true;
}

bool CallGate::push_same_level() {
  StackCursor stack(cpu_, op_);
  if (!stack.push_sized(cpu_.seg[kCs].selector, width_) ||
      !stack.push_sized(cpu_.next_ip(op_) & cpu_.ip_mask, width_))
    return false;
  stack.commit();
  return true;
}

// SS and RSP change last, when nothing can fail any more.
bool CallGate::push_inner_level() {
  Segment stack = null_stack(new_cpl_);
  uint64_t sp = 0;
  const bool found = cpu_.long_mode() ? inner_stack_64(cpu_, op_, new_cpl_, 0, 0, sp)
                                      : inner_stack_32(cpu_, op_, new_cpl_, 0, stack, sp);
  if (!found) return false;
  const uint32_t error = stack.selector & 0xfffcu;
  uint64_t mask = ~uint64_t{0};
  if (!cpu_.long_mode()) {
    mask = (stack.attributes & kSegBig) != 0 ? 0xffffffffu : 0xffffu;
    const auto arguments = static_cast<uint32_t>(gate_ >> 32 & 31);
    const uint32_t bytes = width_ * (4 + arguments);
    if (!within_limit(stack, (sp - bytes) & mask, bytes)) return raise(kSsFault, error);
  }
  FramePusher frame(cpu_, op_, stack.base, sp, mask, error);
  if (!frame.push(cpu_.seg[kSs].selector, width_) || !frame.push(cpu_.regs[kRsp], width_) ||
      !push_arguments(frame) || !frame.push(cpu_.seg[kCs].selector, width_) ||
      !frame.push(cpu_.next_ip(op_) & cpu_.ip_mask, width_))
    return false;
  cpu_.seg[kSs] = stack;
  cpu_.regs[kRsp] = frame.sp();
  return true;
}

// A 32-bit gate copies up to 31 words from the caller's stack.
bool CallGate::push_arguments(FramePusher& frame) {
  if (cpu_.long_mode()) return true;
  for (auto left = static_cast<int64_t>(gate_ >> 32 & 31); left > 0; --left) {
    StackCursor caller(cpu_, op_);
    caller.move((left - 1) * width_);
    uint64_t value = 0;
    if (!caller.pop_sized(value, width_) || !frame.push(value, width_)) return false;
  }
  return true;
}

}  // namespace husk::soft::interp
