// MUL IMUL DIV IDIV. The flags that the architecture leaves undefined are cleared.
#include <limits>

#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

using contract::x86::kRdx;

enum MulDiv : int { kMul = 4, kImul = 5, kDiv = 6, kIdiv = 7 };

template <class T>
struct Wider;
template <>
struct Wider<uint8_t> {
  using Unsigned = uint16_t;
  using Signed = int16_t;
};
template <>
struct Wider<uint16_t> {
  using Unsigned = uint32_t;
  using Signed = int32_t;
};
template <>
struct Wider<uint32_t> {
  using Unsigned = uint64_t;
  using Signed = int64_t;
};
template <>
struct Wider<uint64_t> {
  using Unsigned = unsigned __int128;
  using Signed = __int128;
};

template <class T>
using Wide = typename Wider<T>::Unsigned;
template <class T>
using SignedWide = typename Wider<T>::Signed;

// The accumulator at double width: AX, DX:AX, EDX:EAX, RDX:RAX.
template <class T>
Wide<T> wide_accumulator(const Cpu& cpu) {
  if constexpr (sizeof(T) == 1) return reg<uint16_t>(cpu, 0);
  return static_cast<Wide<T>>(static_cast<Wide<T>>(reg<T>(cpu, kRdx * 8)) << (sizeof(T) * 8) |
                              reg<T>(cpu, 0));
}

// Low and high half: AL and AH, or the accumulator and the data register.
template <class T>
void set_halves(Cpu& cpu, T low, T high) {
  set_reg<T>(cpu, 0, low);
  set_reg<T>(cpu, sizeof(T) == 1 ? 1 : kRdx * 8, high);
}

constexpr Status overflow_status(bool significant) { return significant ? kStCf | kStOf : 0; }

template <class T>
[[gnu::always_inline]] inline T signed_product(T a, T b, Status& st) {
  using Signed = std::make_signed_t<T>;
  Signed product;
  st = overflow_status(
      __builtin_mul_overflow(static_cast<Signed>(a), static_cast<Signed>(b), &product));
  return static_cast<T>(product);
}

template <class T>
bool mul(Cpu& cpu, T value) {
  const auto product = static_cast<Wide<T>>(static_cast<Wide<T>>(reg<T>(cpu, 0)) * value);
  const T high = static_cast<T>(product >> (sizeof(T) * 8));
  set_halves<T>(cpu, static_cast<T>(product), high);
  cpu.status = overflow_status(high != 0);
  return true;
}

template <class T>
bool imul(Cpu& cpu, T value) {
  using Signed = std::make_signed_t<T>;
  const auto product = static_cast<SignedWide<T>>(
      static_cast<SignedWide<T>>(static_cast<Signed>(reg<T>(cpu, 0))) * static_cast<Signed>(value));
  set_halves<T>(cpu, static_cast<T>(product),
                static_cast<T>(static_cast<Wide<T>>(product) >> (sizeof(T) * 8)));
  cpu.status = overflow_status(product != static_cast<Signed>(product));
  return true;
}

template <class T>
bool div(Cpu& cpu, T divisor) {
  const Wide<T> dividend = wide_accumulator<T>(cpu);
  if (divisor == 0 || static_cast<T>(dividend >> (sizeof(T) * 8)) >= divisor) return false;
  if constexpr (sizeof(T) == 8) {
    // The quotient fits, so one DIV does what the compiler would call a library for.
    auto low = static_cast<uint64_t>(dividend);
    auto high = static_cast<uint64_t>(dividend >> 64);
    asm("divq %2" : "+a"(low), "+d"(high) : "r"(divisor) : "cc");
    set_halves<T>(cpu, low, high);
  } else {
    set_halves<T>(cpu, static_cast<T>(dividend / divisor), static_cast<T>(dividend % divisor));
  }
  return true;
}

template <class T>
bool idiv(Cpu& cpu, T divisor_bits) {
  using Signed = std::make_signed_t<T>;
  const auto dividend = static_cast<SignedWide<T>>(wide_accumulator<T>(cpu));
  const auto divisor = static_cast<Signed>(divisor_bits);
  // The most negative dividend over -1 overflows even at double width.
  const auto lowest = static_cast<SignedWide<T>>(Wide<T>{1} << (sizeof(T) * 16 - 1));
  if (divisor == 0 || (divisor == -1 && dividend == lowest)) return false;
  const auto quotient = static_cast<SignedWide<T>>(dividend / divisor);
  if (quotient != static_cast<Signed>(quotient)) return false;
  set_halves<T>(cpu, static_cast<T>(quotient), static_cast<T>(dividend % divisor));
  return true;
}

template <int op, class T>
[[gnu::always_inline]] inline bool apply(Cpu& cpu, T value) {
  if constexpr (op == kMul) return mul<T>(cpu, value);
  if constexpr (op == kImul) return imul<T>(cpu, value);
  if constexpr (op == kDiv) return div<T>(cpu, value);
  return idiv<T>(cpu, value);
}

template <int op, class T>
const Op* group3_r(Cpu& cpu, const Op* o) {
  if (!apply<op, T>(cpu, reg<T>(cpu, o->dst))) [[unlikely]]
    return cpu.fault(o, kDe);
  HUSK_NEXT(cpu, o);
}
template <int op, class T>
const Op* group3_m(Cpu& cpu, const Op* o) {
  T value;
  if (!load<T>(cpu, o, linear_address(cpu, o), value)) [[unlikely]]
    return nullptr;
  if (!apply<op, T>(cpu, value)) [[unlikely]]
    return cpu.fault(o, kDe);
  HUSK_NEXT(cpu, o);
}

// IMUL with two or three operands.
template <class T, bool memory, bool immediate>
const Op* imul_into(Cpu& cpu, const Op* o) {
  T value;
  if (!source<T, memory>(cpu, o, value)) [[unlikely]]
    return nullptr;
  const T factor = immediate ? static_cast<T>(o->imm) : reg<T>(cpu, o->dst);
  set_reg<T>(cpu, o->dst, signed_product<T>(value, factor, cpu.status));
  HUSK_NEXT(cpu, o);
}

template <int op, class T>
Handler pick(bool memory) {
  return memory ? group3_m<op, T> : group3_r<op, T>;
}

template <class T>
Handler pick_imul(bool memory, bool immediate) {
  if (memory) return immediate ? imul_into<T, true, true> : imul_into<T, true, false>;
  return immediate ? imul_into<T, false, true> : imul_into<T, false, false>;
}

}  // namespace

Handler mul_div_handler(int group, bool memory, int log2) {
  return with_size(1u << log2, [&]<class T>() {
    switch (group) {
      case kMul:
        return pick<kMul, T>(memory);
      case kImul:
        return pick<kImul, T>(memory);
      case kDiv:
        return pick<kDiv, T>(memory);
      default:
        return pick<kIdiv, T>(memory);
    }
  });
}

Handler imul_handler(bool memory, bool immediate, int log2) {
  switch (log2) {
    case 1:
      return pick_imul<uint16_t>(memory, immediate);
    case 2:
      return pick_imul<uint32_t>(memory, immediate);
    default:
      return pick_imul<uint64_t>(memory, immediate);
  }
}

}  // namespace husk::soft::interp
