// Arithmetic on the host's own arithmetic unit: each function runs the instruction itself and takes
// the status flags from it, so that results and flags, the undefined ones too, are a processor's.
#pragma once

#include <cstdint>

#include "backend/soft/interp/flags.h"

namespace husk::soft::interp {

// Operations by their encoding in the primary map's first rows and in groups 80-83; kTest is AND
// without a result.
enum AluOp : int { kAdd, kOr, kAdc, kSbb, kAnd, kSub, kXor, kCmp, kTest };

#define HUSK_ALU(insn) \
  asm(insn " %2, %0\n\tlahf\n\tseto %%al" : "+r"(a), "=a"(flags) : "r"(b) : "cc")
#define HUSK_ALU_CARRY(insn)                                \
  asm("btw $8, %w3\n\t" insn " %2, %0\n\tlahf\n\tseto %%al" \
      : "+&r"(a), "=&a"(flags)                              \
      : "r"(b), "r"(st)                                     \
      : "cc")

template <int op, class T>
[[gnu::always_inline]] inline T alu(T a, T b, Status& st) {
  Status flags;
  if constexpr (op == kAdd) HUSK_ALU("add");
  if constexpr (op == kOr) HUSK_ALU("or");
  if constexpr (op == kAdc) HUSK_ALU_CARRY("adc");
  if constexpr (op == kSbb) HUSK_ALU_CARRY("sbb");
  if constexpr (op == kAnd) HUSK_ALU("and");
  if constexpr (op == kSub) HUSK_ALU("sub");
  if constexpr (op == kXor) HUSK_ALU("xor");
  if constexpr (op == kCmp) HUSK_ALU("cmp");
  if constexpr (op == kTest) HUSK_ALU("test");
  st = flags;
  return a;
}
#undef HUSK_ALU
#undef HUSK_ALU_CARRY

#define HUSK_ALU_LOCKED(insn)                              \
  asm volatile("lock " insn " %2, %0\n\tlahf\n\tseto %%al" \
               : "+m"(*at), "=&a"(flags)                   \
               : "r"(b)                                    \
               : "cc", "memory")
#define HUSK_ALU_LOCKED_CARRY(insn)                                       \
  asm volatile("btw $8, %w3\n\tlock " insn " %2, %0\n\tlahf\n\tseto %%al" \
               : "+m"(*at), "=&a"(flags)                                  \
               : "r"(b), "r"(st)                                          \
               : "cc", "memory")

template <int op, class T>
[[gnu::always_inline]] inline void alu_locked(T* at, T b, Status& st) {
  Status flags = 0;
  if constexpr (op == kAdd) HUSK_ALU_LOCKED("add");
  if constexpr (op == kOr) HUSK_ALU_LOCKED("or");
  if constexpr (op == kAdc) HUSK_ALU_LOCKED_CARRY("adc");
  if constexpr (op == kSbb) HUSK_ALU_LOCKED_CARRY("sbb");
  if constexpr (op == kAnd) HUSK_ALU_LOCKED("and");
  if constexpr (op == kSub) HUSK_ALU_LOCKED("sub");
  if constexpr (op == kXor) HUSK_ALU_LOCKED("xor");
  st = flags;
}
#undef HUSK_ALU_LOCKED
#undef HUSK_ALU_LOCKED_CARRY

// Shifts and rotates by their encoding in group 2 (6 is SHL again). A count of zero leaves the
// flags alone and some flags survive other counts, so the flags go in as well as out.
enum ShiftOp : int { kRol, kRor, kRcl, kRcr, kShl, kShr, kSal, kSar };

#define HUSK_SHIFT(insn)                                                  \
  asm("addb $127, %%al\n\tsahf\n\t" insn " %%cl, %0\n\tlahf\n\tseto %%al" \
      : "+&r"(value), "+&a"(st)                                           \
      : "c"(count)                                                        \
      : "cc")

template <int op, class T>
[[gnu::always_inline]] inline T shift(T value, uint8_t count, Status& st) {
  if constexpr (op == kRol) HUSK_SHIFT("rol");
  if constexpr (op == kRor) HUSK_SHIFT("ror");
  if constexpr (op == kRcl) HUSK_SHIFT("rcl");
  if constexpr (op == kRcr) HUSK_SHIFT("rcr");
  if constexpr (op == kShl || op == kSal) HUSK_SHIFT("shl");
  if constexpr (op == kShr) HUSK_SHIFT("shr");
  if constexpr (op == kSar) HUSK_SHIFT("sar");
  return value;
}
#undef HUSK_SHIFT

#define HUSK_DOUBLE_SHIFT(insn)                                               \
  asm("addb $127, %%al\n\tsahf\n\t" insn " %%cl, %3, %0\n\tlahf\n\tseto %%al" \
      : "+&r"(value), "+&a"(st)                                               \
      : "c"(count), "r"(from)                                                 \
      : "cc")

template <bool left, class T>
[[gnu::always_inline]] inline T double_shift(T value, T from, uint8_t count, Status& st) {
  if constexpr (left) {
    HUSK_DOUBLE_SHIFT("shld");
  } else {
    HUSK_DOUBLE_SHIFT("shrd");
  }
  return value;
}
#undef HUSK_DOUBLE_SHIFT

// INC and DEC: as ADD and SUB of one, with CF untouched.
template <bool increment, class T>
[[gnu::always_inline]] inline T step_one(T value, Status& st) {
  Status flags = 0;
  value = alu<increment ? kAdd : kSub, T>(value, 1, flags);
  st = static_cast<Status>((flags & ~kStCf) | (st & kStCf));
  return value;
}

template <class T>
[[gnu::always_inline]] inline T negate(T value, Status& st) {
  return alu<kSub, T>(0, value, st);
}

}  // namespace husk::soft::interp
