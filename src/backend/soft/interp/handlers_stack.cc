// PUSH, POP, PUSHF, POPF, PUSHA, POPA, ENTER, LEAVE. 64-bit mode has its own short forms of the
// common ones.
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/stack.h"

namespace husk::soft::interp {
namespace {

using contract::x86::kRbp;
using contract::x86::kRsp;

const Op* push_r64(Cpu& cpu, const Op* o) {
  const uint64_t sp = cpu.regs[kRsp] - 8;
  if (!store<uint64_t>(cpu, o, sp, reg<uint64_t>(cpu, o->src))) [[unlikely]]
    return failed_on_stack(cpu);
  cpu.regs[kRsp] = sp;
  HUSK_NEXT(cpu, o);
}
const Op* pop_r64(Cpu& cpu, const Op* o) {
  uint64_t value;
  const uint64_t sp = cpu.regs[kRsp];
  if (!load<uint64_t>(cpu, o, sp, value)) [[unlikely]]
    return failed_on_stack(cpu);
  cpu.regs[kRsp] = sp + 8;
  set_reg<uint64_t>(cpu, o->dst, value);  // POP RSP: the popped value wins
  HUSK_NEXT(cpu, o);
}

bool push_value(Cpu& cpu, const Op* o, uint64_t value) {
  StackCursor stack(cpu, o);
  if (!stack.push_sized(value, o->size)) return false;
  stack.commit();
  return true;
}

const Op* push_r(Cpu& cpu, const Op* o) {
  if (!push_value(cpu, o, reg<uint64_t>(cpu, o->src))) return nullptr;
  return o + 1;
}
const Op* push_i(Cpu& cpu, const Op* o) {
  if (!push_value(cpu, o, static_cast<uint64_t>(o->imm))) return nullptr;
  return o + 1;
}
const Op* push_m(Cpu& cpu, const Op* o) {
  uint64_t value = 0;
  const uint64_t linear = linear_address(cpu, o);
  const bool loaded = with_size(o->size, [&]<class T>() {
    T narrow;
    if (!load<T>(cpu, o, linear, narrow)) return false;
    value = narrow;
    return true;
  });
  if (!loaded || !push_value(cpu, o, value)) return nullptr;
  return o + 1;
}
const Op* push_segment(Cpu& cpu, const Op* o) {
  if (!push_value(cpu, o, cpu.seg[o->aux].selector)) return nullptr;
  return o + 1;
}

const Op* push_flags(Cpu& cpu, const Op* o) {
  if (cpu.vm86() && (cpu.rflags_rest & kIopl) != kIopl) return cpu.fault(o, kGp, 0);
  if (!push_value(cpu, o, cpu.rflags() & ~(kRf | kVm))) return nullptr;
  return o + 1;
}

const Op* pop_r(Cpu& cpu, const Op* o) {
  StackCursor stack(cpu, o);
  uint64_t value = 0;
  if (!stack.pop_sized(value, o->size)) return nullptr;
  stack.commit();
  if (o->size == 2) {
    set_reg<uint16_t>(cpu, o->dst, static_cast<uint16_t>(value));
  } else {
    set_reg<uint64_t>(cpu, o->dst, value);
  }
  return o + 1;
}

// The address is computed with the stack pointer as it is after the pop.
const Op* pop_m(Cpu& cpu, const Op* o) {
  StackCursor stack(cpu, o);
  uint64_t value = 0;
  if (!stack.pop_sized(value, o->size)) return nullptr;
  const uint64_t before = cpu.regs[kRsp];
  stack.commit();
  uint64_t linear = linear_address(cpu, o);
  // An address that the address op computed beforehand used the old stack pointer.
  if (o->base == kSlotAddress * 8 && o->aux == 1) linear += o->size;
  const bool stored = with_size(
      o->size, [&]<class T>() { return store<T>(cpu, o, linear, static_cast<T>(value)); });
  if (!stored) {
    cpu.regs[kRsp] = before;
    return nullptr;
  }
  return o + 1;
}

const Op* pop_segment(Cpu& cpu, const Op* o) {
  StackCursor stack(cpu, o);
  uint64_t value = 0;
  if (!stack.pop_sized(value, o->size)) return nullptr;
  if (!cpu.load_segment(o, o->aux, static_cast<uint16_t>(value))) return nullptr;
  stack.commit();
  if (o->aux == contract::x86::kSs) cpu.shadow = cpu.step_suppressed = true;
  return cpu.leave(o);
}

const Op* pop_flags(Cpu& cpu, const Op* o) {
  if (cpu.vm86() && (cpu.rflags_rest & kIopl) != kIopl) return cpu.fault(o, kGp, 0);
  StackCursor stack(cpu, o);
  uint64_t value = 0;
  if (!stack.pop_sized(value, o->size)) return nullptr;
  stack.commit();
  uint64_t changeable = kStatusFlags | kTf | kDf | kNt;
  if (o->size != 2) changeable |= kAc | kId;
  const unsigned iopl = static_cast<unsigned>(cpu.rflags_rest >> 12 & 3);
  if (cpu.cpl() == 0 && !cpu.vm86()) changeable |= kIopl;
  if (cpu.cpl() <= iopl) changeable |= kIf;
  const uint64_t before = cpu.rflags();
  cpu.set_rflags((before & ~changeable & ~kRf) | (value & changeable));
  const uint64_t changed = before ^ cpu.rflags();
  if ((changed & (kIf | kTf | kAc)) == 0) return o + 1;
  if ((changed & kAc) != 0) cpu.update_mode();
  cpu.interrupts_may_come();
  return cpu.leave(o);
}

const Op* push_all(Cpu& cpu, const Op* o) {
  StackCursor stack(cpu, o);
  for (int i = 0; i < 8; ++i) {
    if (!stack.push_sized(cpu.regs[static_cast<size_t>(i)], o->size)) return nullptr;
  }
  stack.commit();
  return o + 1;
}
const Op* pop_all(Cpu& cpu, const Op* o) {
  StackCursor stack(cpu, o);
  std::array<uint64_t, 8> values{};
  for (int i = 7; i >= 0; --i) {
    if (!stack.pop_sized(values[static_cast<size_t>(i)], o->size)) return nullptr;
  }
  stack.commit();
  for (uint8_t i = 0; i < 8; ++i) {
    if (i == kRsp) continue;
    if (o->size == 2) {
      set_reg<uint16_t>(cpu, i * 8, static_cast<uint16_t>(values[i]));
    } else {
      set_reg<uint32_t>(cpu, i * 8, static_cast<uint32_t>(values[i]));
    }
  }
  return o + 1;
}

const Op* leave_any(Cpu& cpu, const Op* o) {
  StackCursor stack(cpu, o);
  stack.set(cpu.regs[kRbp]);
  uint64_t value = 0;
  if (!stack.pop_sized(value, o->size)) return nullptr;
  stack.commit();
  if (o->size == 2) {
    set_reg<uint16_t>(cpu, kRbp * 8, static_cast<uint16_t>(value));
  } else {
    set_reg<uint64_t>(cpu, kRbp * 8, value);
  }
  return o + 1;
}
const Op* leave_64(Cpu& cpu, const Op* o) {
  uint64_t value;
  const uint64_t sp = cpu.regs[kRbp];
  if (!load<uint64_t>(cpu, o, sp, value)) [[unlikely]]
    return failed_on_stack(cpu);
  cpu.regs[kRsp] = sp + 8;
  cpu.regs[kRbp] = value;
  HUSK_NEXT(cpu, o);
}

// `imm` is the frame's size, `aux` the nesting level (Intel SDM vol. 2, ENTER).
const Op* enter(Cpu& cpu, const Op* o) {
  StackCursor stack(cpu, o);
  const uint32_t size = o->size;
  const int level = o->aux % 32;
  if (!stack.push_sized(cpu.regs[kRbp], size)) return nullptr;
  const uint64_t frame = stack.value();
  const uint64_t mask = cpu.stack_mask();
  uint64_t display = cpu.regs[kRbp];
  for (int i = 1; i < level; ++i) {
    display = (display - size) & mask;
    uint64_t outer = 0;
    StackCursor reader(cpu, o);
    reader.set(display);
    if (!reader.pop_sized(outer, size) || !stack.push_sized(outer, size)) return nullptr;
  }
  if (level > 0 && !stack.push_sized(frame, size)) return nullptr;
  stack.move(-static_cast<int64_t>(static_cast<uint16_t>(o->imm)));
  if (!cpu.probe_write(o, stack.address(), size)) return nullptr;
  stack.commit();
  with_size(size, [&]<class T>() {
    set_reg<T>(cpu, kRbp * 8, static_cast<T>(frame));
    return 0;
  });
  return o + 1;
}

}  // namespace

Handler push_handler(int what, int log2) {
  constexpr Handler kAny[] = {push_r, push_i, push_m, push_segment, push_flags, push_all};
  if (what == 0 && log2 == 3) return push_r64;
  return kAny[what];
}

Handler pop_handler(int what, int log2) {
  constexpr Handler kAny[] = {pop_r, nullptr, pop_m, pop_segment, pop_flags, pop_all};
  if (what == 0 && log2 == 3) return pop_r64;
  return kAny[what];
}

Handler leave_handler(int log2) { return log2 == 3 ? leave_64 : leave_any; }
Handler enter_handler() { return enter; }

}  // namespace husk::soft::interp
