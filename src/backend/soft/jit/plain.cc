// Instructions that stay themselves: with the guest's registers under their host names, memory
// where the TLB says, and those registers that live in memory by way of a scratch register or as
// the memory that they are.
#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

namespace {

bool writes(Role role) { return role == Role::kTarget || role == Role::kBoth; }

}  // namespace

void BlockTranslator::emit_plain(const Form& form, uint8_t reg, uint8_t rm, const Mem* m) {
  if (m != nullptr) {
    a_.rm(form.encoding, reg, *m);
  } else {
    a_.rr(form.encoding, reg, rm);
  }
  switch (form.imm_bytes) {
    case 1:
      a_.byte(static_cast<uint8_t>(form.imm));
      break;
    case 2:
      a_.word(static_cast<uint16_t>(form.imm));
      break;
    case 4:
      a_.dword(static_cast<uint32_t>(form.imm));
      break;
    default:
      break;
  }
}

void BlockTranslator::plain(Item& item) {
  const Form& form = item.form;
  if (form.sse) want_vectors(item);
  if (form.avx) want_whole_vectors(item);
  if (form.x87) want_x87(item);
  const bool general_reg = form.reg_role != Role::kNone && form.reg_role != Role::kVector;
  const bool general_rm =
      !form.memory && form.rm_role != Role::kNone && form.rm_role != Role::kVector;
  const bool reg_spilled = general_reg && in_memory(form.reg);
  const bool rm_spilled = general_rm && in_memory(form.rm);
  // What a 32-bit write leaves of a register is not what it leaves of memory.
  const bool rm_by_register =
      rm_spilled && (form.needs_register ||
                     (writes(form.rm_role) && !form.encoding.wide && !form.encoding.bytes &&
                      form.encoding.prefix != 0x66) ||
                     (form.reg_role == Role::kBoth && writes(form.rm_role)));
  Mem m;
  const Mem* memory = nullptr;
  if (form.memory) {
    m = access(item);
    memory = &m;
  } else {
    before_native(item);
  }
  uint8_t reg = general_reg ? host_of(form.reg) : form.reg;
  uint8_t rm = general_rm ? host_of(form.rm) : form.rm;
  const bool zero = form.encoding.map == 0 && (form.encoding.opcode | 2) == 0x33;
  if (rm_by_register && reg_spilled && form.reg == form.rm && zero) {  // XOR with itself
    a_.rr(op(0x33, false), rax, rax);
    a_.store(slot_of(form.rm), rax);
    return after_native(item);
  }
  if (rm_spilled && !rm_by_register) {
    m = slot_of(form.rm);
    memory = &m;
  }
  if (rm_by_register) {
    a_.load(rcx, slot_of(form.rm));
    rm = rcx;
  }
  if (reg_spilled) {
    if (form.memory) m = free_rax(m);
    a_.load(rax, slot_of(form.reg));
    reg = rax;
  }
  emit_plain(form, reg, rm, memory);
  if (reg_spilled && writes(form.reg_role)) a_.store(slot_of(form.reg), rax);
  // Last, for XADD of a register and itself.
  if (rm_by_register && writes(form.rm_role)) a_.store(slot_of(form.rm), rcx);
  after_native(item);
}

void BlockTranslator::move(const Item& item) {
  const Form& form = item.form;
  const bool load = form.reg_role == Role::kTarget, wide = form.encoding.wide;
  const uint8_t to = load ? form.reg : form.rm, from = load ? form.rm : form.reg;
  const uint8_t target = in_memory(to) ? uint8_t{rax} : host_of(to);
  if (in_memory(from)) {
    a_.rm(op(0x8b, wide), target, slot_of(from));
  } else if (target != rax || !wide) {
    a_.rr(op(0x8b, wide), target, host_of(from));
  } else {
    return a_.store(slot_of(to), host_of(from));
  }
  if (target == rax) a_.store(slot_of(to), rax);
}

void BlockTranslator::guest_to(uint8_t into, uint8_t guest) {
  if (in_memory(guest)) {
    a_.load(into, slot_of(guest));
  } else {
    a_.mov(into, host_of(guest));
  }
}

void BlockTranslator::to_guest(uint8_t guest, uint8_t from) {
  if (in_memory(guest)) {
    a_.store(slot_of(guest), from);
  } else {
    a_.mov(host_of(guest), from);
  }
}

void BlockTranslator::move_immediate(Item& item) {
  const Form& form = item.form;
  const auto value = static_cast<uint64_t>(form.imm);
  if (form.size >= 4) {
    const uint64_t cut = form.size == 4 ? static_cast<uint32_t>(value) : value;
    a_.mov_imm(in_memory(form.rm) ? uint8_t{rax} : host_of(form.rm), cut);
    if (in_memory(form.rm)) a_.store(slot_of(form.rm), rax);
    return;
  }
  const Encoding narrow{.opcode = static_cast<uint8_t>(form.size == 1 ? 0xc6 : 0xc7),
                        .prefix = static_cast<uint8_t>(form.size == 2 ? 0x66 : 0),
                        .bytes = form.size == 1};
  if (in_memory(form.rm)) {
    a_.rm(narrow, 0, slot_of(form.rm));
  } else {
    a_.rr(narrow, 0, host_of(form.rm));
  }
  a_.byte(static_cast<uint8_t>(value));
  if (form.size == 2) a_.byte(static_cast<uint8_t>(value >> 8));
}

void BlockTranslator::lea(Item& item) {
  const Form& form = item.form;
  decode::MemoryOperand operand = item.insn.mem;
  operand.segment = contract::x86::kDs;
  const auto simple_register = [](uint8_t guest) {
    return guest == decode::kNoRegister || (guest != decode::kRipBase && !in_memory(guest));
  };
  const uint8_t target = in_memory(form.reg) ? uint8_t{rax} : host_of(form.reg);
  uint64_t constant = 0;
  if (constant_address(item, operand, constant)) {
    a_.mov_imm(target, form.encoding.wide ? constant : static_cast<uint32_t>(constant));
  } else if (simple_register(operand.base) && simple_register(operand.index)) {
    const Mem m{.base = operand.base == decode::kNoRegister ? kNoReg : host_of(operand.base),
                .disp = static_cast<int32_t>(operand.displacement),
                .index = operand.index == decode::kNoRegister ? kNoReg : host_of(operand.index),
                .scale_log2 = operand.scale_log2};
    a_.rm(op(0x8d, form.encoding.wide), target, m);
  } else {
    before_clobber(item);
    linear_address(item, operand, 0, rax);
    a_.rr(op(0x8b, form.encoding.wide), target, rax);
  }
  if (target == rax) a_.store(slot_of(form.reg), rax);
}

}  // namespace husk::soft::jit
