// Instructions whose operands are RAX, RCX or RDX, which are the host's scratch registers or need
// looking at: shifts by CL, widening, multiplication, division, CMPXCHG.
#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

void BlockTranslator::shift_by_cl(Item& item) {
  const Form& form = item.form;
  Mem m;
  const Mem* memory = nullptr;
  uint8_t target = form.rm;
  if (form.memory) {
    m = access(item);
    a_.lea(rax, m);
    m = {.base = rax};
    memory = &m;
  } else {
    before_native(item);
    target = host_of(form.rm);
    if (in_memory(form.rm)) {
      a_.load(rax, slot_of(form.rm));
      target = rax;
    }
  }
  guest_to(rcx, kGuestRcx);
  emit_plain(form, form.reg, target, memory);
  if (!form.memory && target == rax) a_.store(slot_of(form.rm), rax);
  after_native(item);
}

// CBW, CWD and wider; BSWAP; CLC, STC and CMC.
void BlockTranslator::convert(Item& item) {
  const uint8_t opcode = item.insn.opcode;
  const bool wide = item.insn.operand_size == 8;
  if (item.insn.map == decode::OpMap::k0F) {
    const uint8_t guest = item.form.rm;
    const uint8_t reg = in_memory(guest) ? uint8_t{rax} : host_of(guest);
    if (in_memory(guest)) a_.load(rax, slot_of(guest));
    if (wide || reg >= 8) a_.byte(static_cast<uint8_t>(0x40 | (wide ? 8 : 0) | (reg >= 8 ? 1 : 0)));
    a_.byte(0x0f);
    a_.byte(static_cast<uint8_t>(0xc8 | (reg & 7)));
    if (in_memory(guest)) a_.store(slot_of(guest), rax);
    return;
  }
  if (opcode >= 0xf5) {
    before_native(item);
    a_.byte(opcode);
    return after_native(item);
  }
  guest_to(rax, kGuestRax);
  if (item.insn.operand_size == 2) a_.byte(0x66);
  if (wide) a_.byte(0x48);
  a_.byte(opcode);
  if (opcode == 0x98) to_guest(kGuestRax, rax);
}

void BlockTranslator::multiply(Item& item) {
  const Form& form = item.form;
  Mem m;
  const Mem* memory = nullptr;
  if (form.memory) {
    m = free_rax(access(item));
    memory = &m;
  } else if (in_memory(form.rm)) {
    m = slot_of(form.rm);
    memory = &m;
  }
  guest_to(rax, kGuestRax);
  emit_plain(form, form.reg, host_of(form.rm), memory);
  to_guest(kGuestRax, rax);
  after_native(item);
}

// What would fault is left to the interpreter: a quotient that does not fit. For IDIV that is
// anything but a sign-extended dividend and a divisor other than 0 and -1.
void BlockTranslator::divide(Item& item) {
  constexpr uint8_t kNotEqual = 5, kAboveEqual = 3, kBelowEqual = 6;
  const Form& form = item.form;
  const bool wide = form.encoding.wide;
  before_clobber(item);
  if (form.memory) {
    const Mem m = access(item);
    a_.rm(op(0x8b, wide), rcx, m);
  } else {
    guest_to(rcx, form.rm);
  }
  before_clobber(item);  // again, for the access may have loaded them
  if (form.reg == 6) {
    a_.rr(op(0x3b, wide), rdx, rcx);
    detour(item, a_.jcc(kAboveEqual));
  } else {
    guest_to(rax, kGuestRax);
    a_.shift_imm(7, rax, wide ? 63 : 31, wide);
    a_.rr(op(0x3b, wide), rax, rdx);
    detour(item, a_.jcc(kNotEqual));
    a_.rm(op(0x8d, wide), rax, {.base = rcx, .disp = 1});
    a_.alu_imm(7, rax, 1, wide);
    detour(item, a_.jcc(kBelowEqual));
  }
  guest_to(rax, kGuestRax);
  a_.rr(op(0xf7, wide), form.reg, rcx);
  to_guest(kGuestRax, rax);
}

// Atomic whether it is locked or not, as the interpreter's.
void BlockTranslator::compare_exchange(Item& item) {
  Form form = item.form;
  form.encoding.lock = true;
  const Mem m = free_rax(access(item));
  guest_to(rax, kGuestRax);
  emit_plain(form, host_of(form.reg), 0, &m);
  to_guest(kGuestRax, rax);
  after_native(item);
}

}  // namespace husk::soft::jit
