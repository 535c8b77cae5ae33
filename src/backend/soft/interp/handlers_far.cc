// Transfers that load CS (far JMP, CALL, RET, and IRET) and moves to and from segment registers.
//
// In an op: `size` is the operand size; immediate pointers have their selector in `disp`. Task
// switches are answered with #GP: nothing that Husk runs uses them.
#include "backend/soft/interp/call_gate.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/segments.h"
#include "backend/soft/interp/stack.h"

namespace husk::soft::interp {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

struct FarPointer {
  uint16_t selector = 0;
  uint64_t offset = 0;
};

bool in_code_segment(Cpu& cpu, const Op* o, const Segment& code, uint64_t offset) {
  const bool is_64 = cpu.long_mode() && (code.attributes & kSegLong) != 0;
  if (is_64 ? canonical(offset) : offset <= code.limit) return true;
  cpu.fault(o, kGp, 0);
  return false;
}

// Reads and checks a code segment for a transfer that stays at `cpl` (JMP, CALL) or goes to the
// selector's RPL (RET, IRET).
bool read_code(Cpu& cpu, const Op* o, uint16_t selector, uint8_t cpl, bool returning,
               Segment& code) {
  if ((selector & 0xfffc) == 0) {
    cpu.fault(o, kGp, 0);
    return false;
  }
  uint64_t descriptor = 0;
  uint64_t address = 0;
  if (!read_descriptor(cpu, o, selector, kGp, descriptor, address)) return false;
  code = unpack_descriptor(selector, descriptor);
  const uint8_t level = code.attributes >> 5 & 3;
  const uint8_t rpl = selector & 3;
  const bool conforming = (code.attributes & kSegConforming) != 0;
  bool good = (code.attributes & kSegNotSystem) != 0 && (code.attributes & kSegCode) != 0;
  if (returning) {
    good = good && (conforming ? level <= rpl : level == rpl) && rpl >= cpl;
  } else {
    good = good && (conforming ? level <= cpl : level == cpl && rpl <= cpl);
  }
  if (cpu.long_mode() && (code.attributes & kSegLong) != 0 && (code.attributes & kSegBig) != 0)
    good = false;
  if (!good) {
    cpu.fault(o, kGp, selector & 0xfffcu);
    return false;
  }
  if ((code.attributes & kSegPresent) == 0) {
    cpu.fault(o, kNp, selector & 0xfffcu);
    return false;
  }
  if (!mark_accessed(cpu, o, address, descriptor)) return false;
  code = unpack_descriptor(static_cast<uint16_t>((selector & ~3u) | (returning ? rpl : cpl)),
                           descriptor);
  return true;
}

void enter_code(Cpu& cpu, const Segment& code, uint64_t offset) {
  cpu.seg[kCs] = code;
  cpu.set_cpl(code.selector & 3);
  cpu.rip = offset;
  cpu.update_mode();
}

const Op* far_jump_to(Cpu& cpu, const Op* o, const FarPointer& target) {
  if (cpu.real_mode()) {
    cpu.set_real_segment(kCs, target.selector);
    cpu.rip = target.offset & 0xffff;
    if (o->size == 4 && !cpu.vm86()) cpu.rip = target.offset;
    cpu.update_mode();
    return nullptr;
  }
  CallGate gate(cpu, o, target.selector, false);
  if (!gate.look()) return nullptr;
  if (gate.is_one()) return gate.pass();
  Segment code;
  if (!read_code(cpu, o, target.selector, cpu.cpl(), false, code) ||
      !in_code_segment(cpu, o, code, target.offset))
    return nullptr;
  enter_code(cpu, code, target.offset);
  return nullptr;
}

const Op* far_call_to(Cpu& cpu, const Op* o, const FarPointer& target) {
  CallGate gate(cpu, o, target.selector, true);
  if (!cpu.real_mode() && !gate.look()) return nullptr;
  if (gate.is_one()) return gate.pass();
  Segment code;
  if (!cpu.real_mode() && (!read_code(cpu, o, target.selector, cpu.cpl(), false, code) ||
                           !in_code_segment(cpu, o, code, target.offset)))
    return nullptr;
  StackCursor stack(cpu, o);
  if (!stack.push_sized(cpu.seg[kCs].selector, o->size) ||
      !stack.push_sized(cpu.next_ip(o) & cpu.ip_mask, o->size))
    return nullptr;
  stack.commit();
  if (cpu.real_mode()) return far_jump_to(cpu, o, target);
  enter_code(cpu, code, target.offset);
  return nullptr;
}

FarPointer immediate_pointer(const Op* o) {
  return {static_cast<uint16_t>(o->disp),
          static_cast<uint64_t>(o->imm) & (o->size == 2 ? 0xffffu : 0xffffffffu)};
}

bool memory_pointer(Cpu& cpu, const Op* o, FarPointer& pointer) {
  const uint64_t linear = linear_address(cpu, o);
  const bool loaded = with_size(o->size, [&]<class T>() {
    T offset;
    if (!load<T>(cpu, o, linear, offset)) return false;
    pointer.offset = offset;
    return true;
  });
  return loaded && load<uint16_t>(cpu, o, linear + o->size, pointer.selector);
}

const Op* jump_immediate(Cpu& cpu, const Op* o) {
  return far_jump_to(cpu, o, immediate_pointer(o));
}
const Op* call_immediate(Cpu& cpu, const Op* o) {
  return far_call_to(cpu, o, immediate_pointer(o));
}
const Op* jump_memory(Cpu& cpu, const Op* o) {
  FarPointer target;
  if (!memory_pointer(cpu, o, target)) return nullptr;
  return far_jump_to(cpu, o, target);
}
const Op* call_memory(Cpu& cpu, const Op* o) {
  FarPointer target;
  if (!memory_pointer(cpu, o, target)) return nullptr;
  return far_call_to(cpu, o, target);
}

// The stack segment that a return to an outer level pops.
bool read_outer_stack(Cpu& cpu, const Op* o, uint16_t selector, uint8_t new_cpl, bool to_64,
                      Segment& stack) {
  if ((selector & 0xfffc) == 0) {
    if (!to_64 || new_cpl == 3) {
      cpu.fault(o, kGp, 0);
      return false;
    }
    stack = {};
    stack.selector = selector;
    stack.attributes = static_cast<uint16_t>(new_cpl << 5);
    return true;
  }
  uint64_t descriptor = 0;
  uint64_t address = 0;
  if (!read_descriptor(cpu, o, selector, kGp, descriptor, address)) return false;
  stack = unpack_descriptor(selector, descriptor);
  const uint16_t type = stack.attributes;
  const bool good = (type & kSegNotSystem) != 0 && (type & kSegCode) == 0 &&
                    (type & kSegWritable) != 0 && (selector & 3) == new_cpl &&
                    (type >> 5 & 3) == new_cpl;
  if (!good || (type & kSegPresent) == 0) {
    cpu.fault(o, good ? kSsFault : kGp, selector & 0xfffcu);
    return false;
  }
  if (!mark_accessed(cpu, o, address, descriptor)) return false;
  stack = unpack_descriptor(selector, descriptor);
  return true;
}

// Data segments that the outer level may not use become null, and null ones lose their RPL (Intel
// SDM vol. 2, IRET).
void drop_privileged_segments(Cpu& cpu) {
  for (const uint8_t index : {kEs, kDs, kFs, kGs}) {
    Segment& segment = cpu.seg[index];
    if ((segment.attributes & kSegPresent) == 0) {
      segment.selector = 0;  // and no more: FS and GS keep the bases that MSRs gave them
      continue;
    }
    const bool conforming_code =
        (segment.attributes & kSegCode) != 0 && (segment.attributes & kSegConforming) != 0;
    const bool kept = (segment.attributes & kSegNotSystem) != 0 &&
                      (conforming_code || (segment.attributes >> 5 & 3) >= cpu.cpl());
    if (kept) continue;
    segment.selector = 0;
    segment.attributes = 0;
  }
}

// What RET far and IRET pop and do in protected mode; `frame` stands behind CS:IP (and flags).
const Op* return_to(Cpu& cpu, const Op* o, StackCursor& frame, const FarPointer& target,
                    bool with_flags, uint64_t new_flags, bool always_stack) {
  Segment code;
  if (!read_code(cpu, o, target.selector, cpu.cpl(), true, code) ||
      !in_code_segment(cpu, o, code, target.offset))
    return nullptr;
  const uint8_t new_cpl = code.selector & 3;
  const bool outer = new_cpl != cpu.cpl();
  const bool to_64 = cpu.long_mode() && (code.attributes & kSegLong) != 0;
  Segment stack;
  uint64_t sp = 0;
  if (!with_flags) frame.move(o->imm);
  if (outer || always_stack) {
    uint64_t selector = 0;
    if (!frame.pop_sized(sp, o->size) || !frame.pop_sized(selector, o->size)) return nullptr;
    if (!read_outer_stack(cpu, o, static_cast<uint16_t>(selector), new_cpl, to_64, stack))
      return nullptr;
  }
  if (with_flags) {
    uint64_t changeable = kStatusFlags | kTf | kDf | kNt | kRf;
    if (o->size != 2) changeable |= kAc | kId;
    if (cpu.cpl() == 0) changeable |= kIopl | kVif | kVip;
    if (cpu.cpl() <= (cpu.rflags_rest >> 12 & 3)) changeable |= kIf;
    cpu.set_rflags((cpu.rflags() & ~changeable) | (new_flags & changeable));
    cpu.nmi_blocked = false;
  }
  if (outer || always_stack) {
    cpu.seg[kSs] = stack;
    // A 16-bit stack shows its owner bits 31 to 16 of the stack before, as processors do. Above
    // them nothing of the kernel's may stay: the next exception pushes all 64.
    const bool small = !to_64 && (stack.attributes & kSegBig) == 0;
    cpu.regs[kRsp] = small ? (cpu.regs[kRsp] & 0xffff0000u) | (sp & 0xffffu) : sp;
    if (outer && !with_flags) cpu.regs[kRsp] += static_cast<uint64_t>(o->imm);
  } else {
    frame.commit();
  }
  enter_code(cpu, code, target.offset);
  if (outer) {
    drop_privileged_segments(cpu);
    cpu.update_mode();
  }
  cpu.interrupts_may_come();
  return nullptr;
}

// `imm`: bytes of arguments to drop.
const Op* far_return(Cpu& cpu, const Op* o) {
  StackCursor frame(cpu, o);
  FarPointer target;
  uint64_t selector = 0;
  if (!frame.pop_sized(target.offset, o->size) || !frame.pop_sized(selector, o->size))
    return nullptr;
  target.selector = static_cast<uint16_t>(selector);
  if (!cpu.real_mode()) return return_to(cpu, o, frame, target, false, 0, false);
  frame.move(o->imm);
  frame.commit();
  return far_jump_to(cpu, o, target);
}

const Op* interrupt_return(Cpu& cpu, const Op* o) {
  if (cpu.vm86() && (cpu.rflags_rest & kIopl) != kIopl) return cpu.fault(o, kGp, 0);
  if (!cpu.real_mode() && (cpu.rflags_rest & kNt) != 0) return cpu.fault(o, kGp, 0);
  StackCursor frame(cpu, o);
  FarPointer target;
  uint64_t selector = 0;
  uint64_t flags = 0;
  if (!frame.pop_sized(target.offset, o->size) || !frame.pop_sized(selector, o->size) ||
      !frame.pop_sized(flags, o->size))
    return nullptr;
  target.selector = static_cast<uint16_t>(selector);
  if (!cpu.real_mode()) return return_to(cpu, o, frame, target, true, flags, cpu.code64());
  frame.commit();
  const uint64_t changeable = o->size == 2 ? 0xffffu : 0xffffffffu & ~(kVm | kVif | kVip);
  cpu.set_rflags((cpu.rflags() & ~changeable) | (flags & changeable & ~uint64_t{0x8028}));
  cpu.nmi_blocked = false;
  cpu.interrupts_may_come();
  return far_jump_to(cpu, o, target);
}

// MOV to a segment register: `aux` names it, the selector is in `src` or in memory.
const Op* load_segment_from(Cpu& cpu, const Op* o, uint16_t selector) {
  if (!cpu.load_segment(o, o->aux, selector)) return nullptr;
  if (o->aux == kSs) cpu.shadow = cpu.step_suppressed = true;
  return cpu.leave(o);
}
const Op* mov_sreg_r(Cpu& cpu, const Op* o) {
  return load_segment_from(cpu, o, reg<uint16_t>(cpu, o->src));
}
const Op* mov_sreg_m(Cpu& cpu, const Op* o) {
  uint16_t selector;
  if (!load<uint16_t>(cpu, o, linear_address(cpu, o), selector)) return nullptr;
  return load_segment_from(cpu, o, selector);
}
const Op* mov_r_sreg(Cpu& cpu, const Op* o) {
  const uint16_t selector = cpu.seg[o->aux].selector;
  if (o->size == 2) {
    set_reg<uint16_t>(cpu, o->dst, selector);
  } else {
    set_reg<uint64_t>(cpu, o->dst, selector);
  }
  return o + 1;
}
const Op* mov_m_sreg(Cpu& cpu, const Op* o) {
  if (!store<uint16_t>(cpu, o, linear_address(cpu, o), cpu.seg[o->aux].selector)) return nullptr;
  return o + 1;
}

// LDS LES LFS LGS LSS: a far pointer into a segment register (`aux`) and a general one.
const Op* load_far_pointer(Cpu& cpu, const Op* o) {
  FarPointer pointer;
  if (!memory_pointer(cpu, o, pointer) || !cpu.load_segment(o, o->aux, pointer.selector))
    return nullptr;
  with_size(o->size, [&]<class T>() {
    set_reg<T>(cpu, o->dst, static_cast<T>(pointer.offset));
    return 0;
  });
  return cpu.leave(o);
}

}  // namespace

Handler far_handler(int what) {
  constexpr Handler kTable[] = {jump_immediate, call_immediate, jump_memory,
                                call_memory,    far_return,     interrupt_return};
  return kTable[what];
}

Handler segment_move_handler(int what) {
  constexpr Handler kTable[] = {mov_sreg_r, mov_sreg_m, mov_r_sreg, mov_m_sreg, load_far_pointer};
  return kTable[what];
}

}  // namespace husk::soft::interp
