// Near jumps, calls and returns, Jcc, LOOP and JCXZ: every way a block ends without leaving its
// privilege level.
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/stack.h"

namespace husk::soft::interp {
namespace {

using contract::x86::kRcx;
using contract::x86::kRsp;

// Branch displacements are from the block's start, so that the target is one addition.
[[gnu::always_inline]] inline uint64_t relative_target(const Cpu& cpu, const Op* o) {
  return cpu.regs[kSlotBlockRip] + static_cast<uint64_t>(o->imm);
}

bool canonical(uint64_t linear) {
  return static_cast<int64_t>(linear << 16) >> 16 == static_cast<int64_t>(linear);
}

// Outside 64-bit mode a target is cut to the operand's size and checked against CS.
bool narrow(Cpu& cpu, const Op* o, uint64_t& target) {
  target &= o->size == 2 ? 0xffffu : 0xffffffffu;
  if (target <= cpu.seg[contract::x86::kCs].limit) return true;
  cpu.fault(o, kGp, 0);
  return false;
}

// The slow ways of the handlers below go back to the run loop instead of chaining, so that the
// handlers themselves keep no local in memory and end in tail calls.
[[gnu::noinline]] const Op* jump_narrow(Cpu& cpu, const Op* o, uint64_t target) {
  if (narrow(cpu, o, target)) cpu.rip = target;
  return nullptr;
}

[[gnu::always_inline]] inline const Op* jump_checked(Cpu& cpu, const Op* o, uint64_t target) {
  if (o->size != 8) [[unlikely]]
    return jump_narrow(cpu, o, target);
  if (!canonical(target)) [[unlikely]]
    return cpu.fault(o, kGp, 0);
  return jump_to(cpu, target);
}

template <int cc>
const Op* jcc(Cpu& cpu, const Op* o) {
  if (condition<cc>(cpu.status)) {
    if (o->size != 8) [[unlikely]]
      return jump_checked(cpu, o, relative_target(cpu, o));
    return jump_to(cpu, relative_target(cpu, o));
  }
  HUSK_NEXT(cpu, o);  // the op that continues behind the block
}

const Op* jump_relative(Cpu& cpu, const Op* o) {
  if (o->size != 8) [[unlikely]]
    return jump_checked(cpu, o, relative_target(cpu, o));
  return jump_to(cpu, relative_target(cpu, o));
}

const Op* fall_through(Cpu& cpu, const Op* o) {
  return jump_to(cpu, (cpu.regs[kSlotBlockRip] + o->offset) & cpu.ip_mask);
}

const Op* stale(Cpu& cpu, const Op* o) {
  cpu.rip = (cpu.regs[kSlotBlockRip] + o->offset) & cpu.ip_mask;
  return nullptr;
}

const Op* jump_register(Cpu& cpu, const Op* o) {
  return jump_checked(cpu, o, reg<uint64_t>(cpu, o->src));
}

// An indirect target in memory, zero-extended.
bool target_in_memory(Cpu& cpu, const Op* o, uint64_t& target) {
  const uint64_t linear = linear_address(cpu, o);
  return with_size(o->size, [&]<class T>() {
    T value;
    if (!load<T>(cpu, o, linear, value)) return false;
    target = value;
    return true;
  });
}

[[gnu::noinline]] const Op* jump_memory_narrow(Cpu& cpu, const Op* o) {
  uint64_t target = 0;
  return target_in_memory(cpu, o, target) ? jump_narrow(cpu, o, target) : nullptr;
}
const Op* jump_memory(Cpu& cpu, const Op* o) {
  if (o->size != 8) [[unlikely]]
    return jump_memory_narrow(cpu, o);
  uint64_t target;
  if (!load<uint64_t>(cpu, o, linear_address(cpu, o), target)) [[unlikely]]
    return nullptr;
  return jump_checked(cpu, o, target);
}

[[gnu::noinline]] const Op* call_narrow(Cpu& cpu, const Op* o, uint64_t target) {
  if (!narrow(cpu, o, target)) return nullptr;
  StackCursor stack(cpu, o);
  if (!stack.push_sized(cpu.next_ip(o) & cpu.ip_mask, o->size)) return nullptr;
  stack.commit();
  cpu.rip = target;
  return nullptr;
}

[[gnu::always_inline]] inline const Op* call_to(Cpu& cpu, const Op* o, uint64_t target) {
  if (o->size != 8) [[unlikely]]
    return call_narrow(cpu, o, target);
  if (!canonical(target)) [[unlikely]]
    return cpu.fault(o, kGp, 0);
  const uint64_t sp = cpu.regs[kRsp] - 8;
  if (!store<uint64_t>(cpu, o, sp, cpu.next_ip(o))) [[unlikely]]
    return failed_on_stack(cpu);
  cpu.regs[kRsp] = sp;
  return jump_to(cpu, target);
}

const Op* call_relative(Cpu& cpu, const Op* o) { return call_to(cpu, o, relative_target(cpu, o)); }
const Op* call_register(Cpu& cpu, const Op* o) {
  return call_to(cpu, o, reg<uint64_t>(cpu, o->src));
}
[[gnu::noinline]] const Op* call_memory_narrow(Cpu& cpu, const Op* o) {
  uint64_t target = 0;
  return target_in_memory(cpu, o, target) ? call_narrow(cpu, o, target) : nullptr;
}
const Op* call_memory(Cpu& cpu, const Op* o) {
  if (o->size != 8) [[unlikely]]
    return call_memory_narrow(cpu, o);
  uint64_t target;
  if (!load<uint64_t>(cpu, o, linear_address(cpu, o), target)) [[unlikely]]
    return nullptr;
  return call_to(cpu, o, target);
}

[[gnu::noinline]] const Op* ret_narrow(Cpu& cpu, const Op* o) {
  StackCursor stack(cpu, o);
  uint64_t target = 0;
  if (!stack.pop_sized(target, o->size) || !narrow(cpu, o, target)) return nullptr;
  stack.move(o->imm);
  stack.commit();
  cpu.rip = target;
  return nullptr;
}

// `imm`: bytes of arguments to drop.
const Op* ret(Cpu& cpu, const Op* o) {
  if (o->size != 8) [[unlikely]]
    return ret_narrow(cpu, o);
  uint64_t target;
  if (!load<uint64_t>(cpu, o, cpu.regs[kRsp], target)) [[unlikely]]
    return failed_on_stack(cpu);
  if (!canonical(target)) [[unlikely]]
    return cpu.fault(o, kGp, 0);
  cpu.regs[kRsp] += 8 + static_cast<uint64_t>(o->imm);
  return jump_to(cpu, target);
}

// `aux`: the opcode's low two bits; `scale`: address size in bytes, which says how wide the counter
// is.
const Op* loop(Cpu& cpu, const Op* o) {
  const uint64_t mask = o->scale == 8 ? ~uint64_t{0} : o->scale == 4 ? 0xffffffffu : 0xffffu;
  uint64_t count = cpu.regs[kRcx] & mask;
  const bool jcxz = o->aux == 3;
  if (!jcxz) count = (count - 1) & mask;
  bool taken = jcxz ? count == 0 : count != 0;
  if (o->aux == 0) taken = taken && (cpu.status & kStZf) == 0;
  if (o->aux == 1) taken = taken && (cpu.status & kStZf) != 0;
  if (!jcxz) cpu.regs[kRcx] = mask == 0xffffu ? (cpu.regs[kRcx] & ~mask) | count : count;
  if (taken) return jump_checked(cpu, o, relative_target(cpu, o));
  HUSK_NEXT(cpu, o);
}

template <int... cc>
constexpr auto jcc_table(std::integer_sequence<int, cc...>) {
  return std::array<Handler, sizeof...(cc)>{jcc<cc>...};
}
constexpr auto kJcc = jcc_table(std::make_integer_sequence<int, 16>{});

}  // namespace

Handler jcc_handler(int cc) { return kJcc[static_cast<size_t>(cc)]; }
Handler jump_handler(int what) {
  constexpr Handler kTable[] = {jump_relative, jump_register, jump_memory};
  return kTable[what];
}
Handler call_handler(int what) {
  constexpr Handler kTable[] = {call_relative, call_register, call_memory};
  return kTable[what];
}
Handler ret_handler() { return ret; }
Handler loop_handler(int) { return loop; }
Handler continue_handler() { return fall_through; }
Handler stale_handler() { return stale; }

}  // namespace husk::soft::interp
