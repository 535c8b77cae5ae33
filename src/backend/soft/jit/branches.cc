// The stack, and the ways out of a block.
#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

namespace {

constexpr uint8_t kZero = 4, kNotEqual = 5;
constexpr uint64_t kUpperHalf = uint64_t{1} << 63;

}  // namespace

// LEA leaves the flags alone.
void BlockTranslator::move_stack(int32_t bytes) {
  const uint8_t sp = host_of(kGuestRsp);
  a_.lea(sp, {.base = sp, .disp = bytes});
}

void BlockTranslator::store_constant(const Mem& m, uint64_t value) {
  if (static_cast<int64_t>(value) == static_cast<int32_t>(value)) {
    a_.rm(op(0xc7), 0, m);
    a_.dword(static_cast<uint32_t>(value));
  } else {
    a_.mov_imm(rax, value);
    a_.store(m, rax);
  }
}

void BlockTranslator::push(Item& item) {
  const uint8_t guest = item.form.rm;
  const Mem m = access(item);
  const uint8_t value = in_memory(guest) ? uint8_t{rax} : host_of(guest);
  if (value == rax) a_.load(rax, slot_of(guest));
  a_.store(m, value);
  move_stack(-8);
}

void BlockTranslator::push_immediate(Item& item) {
  const Mem m = access(item);
  store_constant(m, static_cast<uint64_t>(item.form.imm));
  move_stack(-8);
}

void BlockTranslator::push_memory(Item& item) {
  const Mem from = access(item);
  a_.load(rax, from);
  a_.store(HUSK_HOT(kept), rax);
  const Mem to = access(item);
  a_.load(rax, HUSK_HOT(kept));
  a_.store(to, rax);
  move_stack(-8);
}

void BlockTranslator::pop(Item& item) {
  const uint8_t guest = item.form.rm;
  const Mem m = access(item);
  const uint8_t into = in_memory(guest) ? uint8_t{rax} : host_of(guest);
  a_.load(into, m);
  if (into == rax) a_.store(slot_of(guest), rax);
  if (guest != kGuestRsp) move_stack(8);
}

void BlockTranslator::leave(Item& item) {
  const Mem m = access(item);
  a_.lea(host_of(kGuestRsp), {.base = host_of(kGuestRbp), .disp = 8});
  a_.load(host_of(kGuestRbp), m);
}

// By condition `cc`, or always when that is negative.
void BlockTranslator::exit_to(uint64_t target, uint64_t from, int cc) {
  Exit& exit = store_.add_exit();
  exit.rip = target;
  exit.from = out_;
  exit.host_flags = flags_.host;
  exit.backward = target <= from;
  exit.site = cc < 0 ? a_.jmp() : a_.jcc(static_cast<uint8_t>(cc));
  exits_.push_back({&exit, flags_});
}

void BlockTranslator::jump(Item& item) {
  exit_to(next_rip(item) + static_cast<uint64_t>(item.form.imm), rip_of(item), -1);
}

void BlockTranslator::jump_if(Item& item) {
  before_native(item);
  exit_to(next_rip(item) + static_cast<uint64_t>(item.form.imm), rip_of(item),
          item.insn.opcode & 15);
}

void BlockTranslator::call(Item& item) {
  const Mem m = access(item);
  store_constant(m, next_rip(item));
  move_stack(-8);
  exit_to(next_rip(item) + static_cast<uint64_t>(item.form.imm), rip_of(item), -1);
}

// Kernel code looks for kernel code, whose entries have a key of their own. Destroys EFLAGS.
void BlockTranslator::look_up(Item& item) {
  const size_t jumps = offsetof(HotState, jumps);
  static_assert(sizeof(interp::JumpEntry) == 32);
  constexpr int32_t kMask = HotState::kJumpEntries - 1;
  a_.mov32(rcx, rax);
  a_.shift_imm(5, rcx, 12, false);
  a_.rr(op(0x33, false), rcx, rax);
  a_.alu_imm(4, rcx, kMask, false);
  a_.shift_imm(4, rcx, 5, false);
  const auto entry = [&](size_t field) {
    Mem m = hot(jumps + field);
    m.index = rcx;
    return m;
  };
  a_.rm(op(0x3b), rax, entry(offsetof(interp::JumpEntry, rip)));
  detour(item, a_.jcc(kNotEqual));
  const bool kernel = (rip_ & kUpperHalf) != 0;
  a_.load(rax, kernel ? HUSK_HOT(global_code_key) : HUSK_HOT(code_key));
  a_.rm(op(0x3b), rax, entry(offsetof(interp::JumpEntry, key)));
  detour(item, a_.jcc(kNotEqual));
  a_.load(rax, HUSK_HOT(attention_word));
  a_.rm(op(0x83, false), 7, {.base = rax});
  a_.byte(0);
  detour(item, a_.jcc(kNotEqual));
  a_.load(rcx, entry(offsetof(interp::JumpEntry, code)));
  a_.rr(op(0x85), rcx, rcx);
  detour(item, a_.jcc(kZero));
}

void BlockTranslator::ret(Item& item) {
  before_clobber(item);
  const Mem m = access(item);
  a_.load(rax, m);
  look_up(item);
  move_stack(8 + static_cast<uint16_t>(item.form.imm));
  a_.rr(op(0xff, false), 4, rcx);
}

// To RCX, from memory or a register.
void BlockTranslator::look_up_operand(Item& item, bool in_memory) {
  before_clobber(item);
  if (in_memory) {
    const Mem m = access(item);
    a_.load(rax, m);
  } else {
    guest_to(rax, item.form.rm);
  }
  look_up(item);
}

void BlockTranslator::jump_indirect(Item& item) {
  look_up_operand(item, item.form.family == Family::kJumpMemory);
  a_.rr(op(0xff, false), 4, rcx);
}

// The target is known to be good before the return address is written.
void BlockTranslator::call_indirect(Item& item) {
  look_up_operand(item, item.form.family == Family::kCallMemory);
  a_.store(HUSK_HOT(kept), rcx);
  const Mem m = access(item);
  store_constant(m, next_rip(item));
  move_stack(-8);
  a_.rm(op(0xff, false), 4, HUSK_HOT(kept));
}

}  // namespace husk::soft::jit
