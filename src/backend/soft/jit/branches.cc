// The stack, and the ways out of a block.
#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

namespace {

constexpr uint8_t kZero = 4;
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
  const JumpSite site = cc < 0 ? a_.jmp() : a_.jcc(static_cast<uint8_t>(cc));
  add_exit(site, {.rip = target, .host_flags = flags_.host, .backward = target <= from}, flags_);
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

// Destroys EFLAGS.
void BlockTranslator::look_up() {
  a_.call_to((rip_ & kUpperHalf) != 0 ? stubs_.look_up_global : stubs_.look_up);
}

// The end of a block, whose target is in RAX. The stack moves when it is certain.
void BlockTranslator::jump_to_found(Item& item, int32_t stack) {
  look_up();
  a_.byte(0xe3);  // JRCXZ
  uint8_t* distance = a_.here();
  a_.byte(0);
  if (stack != 0) move_stack(stack);
  a_.rr(op(0xff, false), 4, rcx);
  *distance = static_cast<uint8_t>(a_.here() - distance - 1);
  call_interpreter(item);
}

void BlockTranslator::ret(Item& item) {
  before_clobber(item);
  const Mem m = access(item);
  a_.load(rax, m);
  jump_to_found(item, 8 + static_cast<uint16_t>(item.form.imm));
}

// To RAX, from memory or a register.
void BlockTranslator::load_target(Item& item, bool in_memory) {
  before_clobber(item);
  if (in_memory) {
    const Mem m = access(item);
    a_.load(rax, m);
  } else {
    guest_to(rax, item.form.rm);
  }
}

void BlockTranslator::jump_indirect(Item& item) {
  load_target(item, item.form.family == Family::kJumpMemory);
  jump_to_found(item, 0);
}

// The target is known to be good before the return address is written.
void BlockTranslator::call_indirect(Item& item) {
  load_target(item, item.form.family == Family::kCallMemory);
  look_up();
  a_.rr(op(0x85), rcx, rcx);
  detour(item, a_.jcc(kZero));
  a_.store(HUSK_HOT(kept), rcx);
  const Mem m = access(item);
  store_constant(m, next_rip(item));
  move_stack(-8);
  a_.rm(op(0xff, false), 4, HUSK_HOT(kept));
}

}  // namespace husk::soft::jit
