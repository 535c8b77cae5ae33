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

void BlockTranslator::want_vectors(Item& item) {
  want(item, HUSK_HOT(sse_live), vectors_wanted_, stubs_.vectors);
}
void BlockTranslator::want_x87(Item& item) {
  want(item, HUSK_HOT(x87_lent), x87_wanted_, stubs_.x87);
}

// The registers that `live` tells of are the guest's from here on.
void BlockTranslator::want(Item& item, const Mem& live, bool& wanted, const uint8_t* stub) {
  constexpr uint8_t kZero = 4;
  if (wanted) return;
  wanted = true;
  before_clobber(item);
  Site& site = store_.add_site();
  site.ops = &block_.ops[item.first_op];
  site.block_rip = rip_;
  a_.rm(op(0x83), 7, live);
  a_.byte(0);
  const JumpSite missing = a_.jcc(kZero);
  detours_.push_back(
      {.from = missing, .item = index_of(item), .next = a_.here(), .stub = stub, .site = &site});
}

void BlockTranslator::status_word(Item& item) {
  want_x87(item);
  emit_plain(item.form, item.form.reg, item.form.rm, nullptr);
  a_.rr({.opcode = 0x89, .prefix = 0x66}, rax, host_of(kGuestRax));
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
  if (form.memory) {
    const Mem m = access(item);
    a_.rm(op(0x8b, wide), rcx, m);
  } else {
    before_clobber(item);
    guest_to(rcx, form.rm);
  }
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

void BlockTranslator::detour(Item& item, JumpSite from) {
  detours_.push_back(
      {.from = from, .item = index_of(item), .stub = stubs_.interpret, .site = &site_of(item)});
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
