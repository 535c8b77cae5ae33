// CMPXCHG, XADD, CMPXCHG8B, CMPXCHG16B.
#include "backend/soft/interp/alu.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

using contract::x86::kRbx;
using contract::x86::kRcx;
using contract::x86::kRdx;

// On a mismatch the destination is written back with its own value, which on a register clears its
// upper half.
template <class T>
const Op* cmpxchg_r(Cpu& cpu, const Op* o) {
  const T old = reg<T>(cpu, o->dst);
  const T expected = reg<T>(cpu, 0);
  alu<kCmp, T>(expected, old, cpu.status);
  if (old == expected) {
    set_reg<T>(cpu, o->dst, reg<T>(cpu, o->src));
  } else {
    set_reg<T>(cpu, 0, old);
  }
  HUSK_NEXT(cpu, o);
}

// Not locked is executed locked: stronger than asked for, and never wrong.
template <class T>
const Op* cmpxchg_m(Cpu& cpu, const Op* o) {
  const T expected = reg<T>(cpu, 0);
  const T desired = reg<T>(cpu, o->src);
  T old = expected;
  const auto atomic = [&](T* at) {
    old = expected;
    __atomic_compare_exchange_n(at, &old, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  };
  if (!modify_locked<T>(cpu, o, linear_address(cpu, o), atomic)) [[unlikely]]
    return nullptr;
  alu<kCmp, T>(expected, old, cpu.status);
  if (old != expected) set_reg<T>(cpu, 0, old);
  HUSK_NEXT(cpu, o);
}

template <class T>
const Op* xadd_r(Cpu& cpu, const Op* o) {
  const T old = reg<T>(cpu, o->dst);
  const T sum = alu<kAdd, T>(old, reg<T>(cpu, o->src), cpu.status);
  set_reg<T>(cpu, o->src, old);
  set_reg<T>(cpu, o->dst, sum);
  HUSK_NEXT(cpu, o);
}
template <class T>
const Op* xadd_m(Cpu& cpu, const Op* o) {
  const T addend = reg<T>(cpu, o->src);
  T old{};
  const auto atomic = [&](T* at) { old = __atomic_fetch_add(at, addend, __ATOMIC_SEQ_CST); };
  if (!modify_locked<T>(cpu, o, linear_address(cpu, o), atomic)) [[unlikely]]
    return nullptr;
  alu<kAdd, T>(old, addend, cpu.status);
  set_reg<T>(cpu, o->src, old);
  HUSK_NEXT(cpu, o);
}

template <class T>
void set_zf(Cpu& cpu, T equal) {
  cpu.status = static_cast<Status>((cpu.status & ~kStZf) | (equal ? kStZf : 0));
}

const Op* cmpxchg8b(Cpu& cpu, const Op* o) {
  const uint64_t expected = uint64_t{reg<uint32_t>(cpu, kRdx * 8)} << 32 | reg<uint32_t>(cpu, 0);
  const uint64_t desired =
      uint64_t{reg<uint32_t>(cpu, kRcx * 8)} << 32 | reg<uint32_t>(cpu, kRbx * 8);
  uint64_t old = expected;
  const auto atomic = [&](uint64_t* at) {
    old = expected;
    __atomic_compare_exchange_n(at, &old, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  };
  if (!modify_locked<uint64_t>(cpu, o, linear_address(cpu, o), atomic)) [[unlikely]]
    return nullptr;
  set_zf(cpu, old == expected);
  if (old != expected) {
    set_reg<uint32_t>(cpu, 0, static_cast<uint32_t>(old));
    set_reg<uint32_t>(cpu, kRdx * 8, static_cast<uint32_t>(old >> 32));
  }
  HUSK_NEXT(cpu, o);
}

struct alignas(16) Pair {
  uint64_t low, high;
};

const Op* cmpxchg16b(Cpu& cpu, const Op* o) {
  const uint64_t linear = linear_address(cpu, o);
  if (linear % 16 != 0) return cpu.fault(o, kGp, 0);
  uint64_t low = reg<uint64_t>(cpu, 0);
  uint64_t high = reg<uint64_t>(cpu, kRdx * 8);
  bool equal = false;
  const auto atomic = [&](Pair* at) {
    low = reg<uint64_t>(cpu, 0);
    high = reg<uint64_t>(cpu, kRdx * 8);
    asm volatile("lock cmpxchg16b %1"
                 : "=@ccz"(equal), "+m"(*at), "+a"(low), "+d"(high)
                 : "b"(reg<uint64_t>(cpu, kRbx * 8)), "c"(reg<uint64_t>(cpu, kRcx * 8))
                 : "memory");
  };
  if (!modify_locked<Pair>(cpu, o, linear, atomic)) [[unlikely]]
    return nullptr;
  set_zf(cpu, equal);
  if (!equal) {
    set_reg<uint64_t>(cpu, 0, low);
    set_reg<uint64_t>(cpu, kRdx * 8, high);
  }
  HUSK_NEXT(cpu, o);
}

}  // namespace

Handler cmpxchg_handler(bool memory, int log2, bool lock) {
  if (lock && !memory) return undefined_handler();
  return with_size(1u << log2,
                   [&]<class T>() -> Handler { return memory ? cmpxchg_m<T> : cmpxchg_r<T>; });
}

Handler xadd_handler(bool memory, int log2, bool lock) {
  if (lock && !memory) return undefined_handler();
  return with_size(1u << log2,
                   [&]<class T>() -> Handler { return memory ? xadd_m<T> : xadd_r<T>; });
}

Handler cmpxchg_wide_handler(int log2) { return log2 == 3 ? cmpxchg8b : cmpxchg16b; }

}  // namespace husk::soft::interp
