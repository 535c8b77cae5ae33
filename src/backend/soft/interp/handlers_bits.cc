// BT BTS BTR BTC, BSF BSR POPCNT TZCNT LZCNT, CRC32 and ADCX ADOX.
#include "backend/soft/interp/alu.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

enum BitOp : int { kBt, kBts, kBtr, kBtc };

template <int op, class T>
[[gnu::always_inline]] inline T bit_test(T value, T bit, Status& st) {
  bit &= sizeof(T) * 8 - 1;
  const T mask = static_cast<T>(T{1} << bit);
  st = static_cast<Status>((st & ~kStCf) | ((value & mask) != 0 ? kStCf : 0));
  if constexpr (op == kBts) return static_cast<T>(value | mask);
  if constexpr (op == kBtr) return static_cast<T>(value & ~mask);
  if constexpr (op == kBtc) return static_cast<T>(value ^ mask);
  return value;
}

template <int op, class T, bool immediate>
const Op* bit_r(Cpu& cpu, const Op* o) {
  const T bit = immediate ? static_cast<T>(o->imm) : reg<T>(cpu, o->src);
  const T result = bit_test<op, T>(reg<T>(cpu, o->dst), bit, cpu.status);
  if constexpr (op != kBt) set_reg<T>(cpu, o->dst, result);
  HUSK_NEXT(cpu, o);
}

// A register bit number reaches beyond the operand: it is a signed offset in bits from the address.
// `aux` holds the address size in bytes, by which the effective address wraps, and in its upper
// half the segment that the address op has added already.
template <int op, class T, bool immediate, bool locked>
const Op* bit_m(Cpu& cpu, const Op* o) {
  const T bit = immediate ? static_cast<T>(o->imm) : reg<T>(cpu, o->src);
  uint64_t linear = linear_address(cpu, o);
  if constexpr (!immediate) {
    constexpr int kBits = sizeof(T) * 8;
    const int64_t units =
        static_cast<int64_t>(static_cast<std::make_signed_t<T>>(bit)) >> (kBits == 16   ? 4
                                                                          : kBits == 32 ? 5
                                                                                        : 6);
    linear += static_cast<uint64_t>(units) * sizeof(T);
    if ((o->aux & 15) != 8) {
      const uint64_t base = cpu.seg_base[o->aux >> 4];
      const uint64_t mask = (o->aux & 15) == 2 ? 0xffffu : 0xffffffffu;
      linear = base + ((linear - base) & mask);
      if (!cpu.code64()) linear &= 0xffffffffu;
    }
  }
  if constexpr (op == kBt) {
    T value;
    if (!load<T>(cpu, o, linear, value)) [[unlikely]]
      return nullptr;
    bit_test<op, T>(value, bit, cpu.status);
  } else if constexpr (locked) {
    const auto atomic = [&](T* at) {
      T old = __atomic_load_n(at, __ATOMIC_RELAXED);
      Status st = cpu.status;
      while (!__atomic_compare_exchange_n(at, &old, bit_test<op, T>(old, bit, st), false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
      }
      cpu.status = st;
    };
    if (!modify_locked<T>(cpu, o, linear, atomic)) [[unlikely]]
      return nullptr;
  } else {
    const bool done =
        modify<T>(cpu, o, linear, [&](T old) { return bit_test<op, T>(old, bit, cpu.status); });
    if (!done) [[unlikely]]
      return nullptr;
  }
  HUSK_NEXT(cpu, o);
}

template <int op, class T>
Handler pick_bit(Form form, bool lock) {
  switch (form) {
    case Form::kRegReg:
      return lock ? undefined_handler() : bit_r<op, T, false>;
    case Form::kRegImm:
      return lock ? undefined_handler() : bit_r<op, T, true>;
    case Form::kMemImm:
      return lock ? bit_m<op, T, true, true> : bit_m<op, T, true, false>;
    default:
      return lock ? bit_m<op, T, false, true> : bit_m<op, T, false, false>;
  }
}

enum ScanOp : int { kBsf, kBsr, kPopcnt, kTzcnt, kLzcnt };

#define HUSK_SCAN(insn) \
  asm(insn " %2, %0\n\tlahf\n\tseto %%al" : "+&r"(result), "=&a"(flags) : "r"(value) : "cc")

template <int op, class T>
[[gnu::always_inline]] inline void scan(Cpu& cpu, const Op* o, T value) {
  T result = reg<T>(cpu, o->dst);
  Status flags;
  if constexpr (op == kBsf) HUSK_SCAN("bsf");
  if constexpr (op == kBsr) HUSK_SCAN("bsr");
  if constexpr (op == kPopcnt) HUSK_SCAN("popcnt");
  if constexpr (op == kTzcnt) HUSK_SCAN("tzcnt");
  if constexpr (op == kLzcnt) HUSK_SCAN("lzcnt");
  cpu.status = flags;
  // BSF and BSR of zero leave the whole register as it was.
  if (op >= kPopcnt || value != 0) set_reg<T>(cpu, o->dst, result);
}
#undef HUSK_SCAN

template <int op, class T>
const Op* scan_r(Cpu& cpu, const Op* o) {
  scan<op, T>(cpu, o, reg<T>(cpu, o->src));
  HUSK_NEXT(cpu, o);
}
template <int op, class T>
const Op* scan_m(Cpu& cpu, const Op* o) {
  T value;
  if (!load<T>(cpu, o, linear_address(cpu, o), value)) [[unlikely]]
    return nullptr;
  scan<op, T>(cpu, o, value);
  HUSK_NEXT(cpu, o);
}

template <class T>
uint32_t crc32_step(uint32_t crc, T value) {
  if constexpr (sizeof(T) == 8) {
    uint64_t wide = crc;
    asm("crc32q %1, %0" : "+r"(wide) : "r"(value));
    return static_cast<uint32_t>(wide);
  } else {
    if constexpr (sizeof(T) == 1) asm("crc32b %1, %0" : "+r"(crc) : "r"(value));
    if constexpr (sizeof(T) == 2) asm("crc32w %1, %0" : "+r"(crc) : "r"(value));
    if constexpr (sizeof(T) == 4) asm("crc32l %1, %0" : "+r"(crc) : "r"(value));
    return crc;
  }
}
template <class T, bool memory>
const Op* crc32(Cpu& cpu, const Op* o) {
  T value;
  if (!source<T, memory>(cpu, o, value)) [[unlikely]]
    return nullptr;
  set_reg<uint32_t>(cpu, o->dst, crc32_step<T>(reg<uint32_t>(cpu, o->dst), value));
  HUSK_NEXT(cpu, o);
}

// ADCX carries through CF, ADOX through OF; each leaves all other flags alone.
template <class T, bool overflow, bool memory>
const Op* add_with_flag(Cpu& cpu, const Op* o) {
  T value;
  if (!source<T, memory>(cpu, o, value)) [[unlikely]]
    return nullptr;
  constexpr Status kFlag = overflow ? kStOf : kStCf;
  const T carry_in = (cpu.status & kFlag) != 0 ? 1 : 0;
  T sum;
  const bool first = __builtin_add_overflow(reg<T>(cpu, o->dst), value, &sum);
  const bool second = __builtin_add_overflow(sum, carry_in, &sum);
  cpu.status = static_cast<Status>((cpu.status & ~kFlag) | (first || second ? kFlag : 0));
  set_reg<T>(cpu, o->dst, sum);
  HUSK_NEXT(cpu, o);
}

template <int op>
Handler pick_scan(bool memory, int log2) {
  switch (log2) {
    case 1:
      return memory ? scan_m<op, uint16_t> : scan_r<op, uint16_t>;
    case 2:
      return memory ? scan_m<op, uint32_t> : scan_r<op, uint32_t>;
    default:
      return memory ? scan_m<op, uint64_t> : scan_r<op, uint64_t>;
  }
}

template <class T>
Handler pick_bit_op(int kind, Form form, bool lock) {
  switch (kind) {
    case kBt:
      return lock ? undefined_handler() : pick_bit<kBt, T>(form, false);
    case kBts:
      return pick_bit<kBts, T>(form, lock);
    case kBtr:
      return pick_bit<kBtr, T>(form, lock);
    default:
      return pick_bit<kBtc, T>(form, lock);
  }
}

}  // namespace

Handler bit_test_handler(int kind, Form form, int log2, bool lock) {
  switch (log2) {
    case 1:
      return pick_bit_op<uint16_t>(kind, form, lock);
    case 2:
      return pick_bit_op<uint32_t>(kind, form, lock);
    default:
      return pick_bit_op<uint64_t>(kind, form, lock);
  }
}

Handler bit_scan_handler(int kind, bool memory, int log2) {
  if (kind == kBsf) return pick_scan<kBsf>(memory, log2);
  if (kind == kBsr) return pick_scan<kBsr>(memory, log2);
  if (kind == kTzcnt) return pick_scan<kTzcnt>(memory, log2);
  if (kind == kLzcnt) return pick_scan<kLzcnt>(memory, log2);
  return pick_scan<kPopcnt>(memory, log2);
}

Handler crc32_handler(bool memory, int log2) {
  return with_size(1u << log2,
                   [&]<class T>() -> Handler { return memory ? crc32<T, true> : crc32<T, false>; });
}

Handler adx_handler(bool overflow, bool memory, int log2) {
  const auto pick = [&]<class T>() -> Handler {
    if (overflow) return memory ? add_with_flag<T, true, true> : add_with_flag<T, true, false>;
    return memory ? add_with_flag<T, false, true> : add_with_flag<T, false, false>;
  };
  return log2 == 3 ? pick.template operator()<uint64_t>() : pick.template operator()<uint32_t>();
}

}  // namespace husk::soft::interp
