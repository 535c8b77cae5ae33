// MOV, MOVZX, MOVSX, LEA, CMOVcc, SETcc, XCHG, BSWAP, MOVBE and the sign-extension family.
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

template <class T>
const Op* mov_rr(Cpu& cpu, const Op* o) {
  set_reg<T>(cpu, o->dst, reg<T>(cpu, o->src));
  HUSK_NEXT(cpu, o);
}
template <class T>
const Op* mov_ri(Cpu& cpu, const Op* o) {
  set_reg<T>(cpu, o->dst, static_cast<T>(o->imm));
  HUSK_NEXT(cpu, o);
}
template <class T>
const Op* mov_rm(Cpu& cpu, const Op* o) {
  T value;
  if (!load<T>(cpu, o, linear_address(cpu, o), value)) [[unlikely]]
    return nullptr;
  set_reg<T>(cpu, o->dst, value);
  HUSK_NEXT(cpu, o);
}
template <class T>
const Op* mov_mr(Cpu& cpu, const Op* o) {
  if (!store<T>(cpu, o, linear_address(cpu, o), reg<T>(cpu, o->src))) [[unlikely]]
    return nullptr;
  HUSK_NEXT(cpu, o);
}
template <class T>
const Op* mov_mi(Cpu& cpu, const Op* o) {
  if (!store<T>(cpu, o, linear_address(cpu, o), static_cast<T>(o->imm))) [[unlikely]]
    return nullptr;
  HUSK_NEXT(cpu, o);
}

template <class From, class To>
const Op* extend_r(Cpu& cpu, const Op* o) {
  set_reg<To>(cpu, o->dst, static_cast<To>(reg<From>(cpu, o->src)));
  HUSK_NEXT(cpu, o);
}
template <class From, class To>
const Op* extend_m(Cpu& cpu, const Op* o) {
  std::make_unsigned_t<From> value;
  if (!load(cpu, o, linear_address(cpu, o), value)) [[unlikely]]
    return nullptr;
  set_reg<To>(cpu, o->dst, static_cast<To>(static_cast<From>(value)));
  HUSK_NEXT(cpu, o);
}

// The segment base is not part of an effective address; lowering gives LEA the slot without one.
template <class T>
const Op* lea(Cpu& cpu, const Op* o) {
  set_reg<T>(cpu, o->dst, static_cast<T>(linear_address(cpu, o)));
  HUSK_NEXT(cpu, o);
}

template <int cc, class T>
const Op* cmov_r(Cpu& cpu, const Op* o) {
  const T value = condition<cc>(cpu.status) ? reg<T>(cpu, o->src) : reg<T>(cpu, o->dst);
  set_reg<T>(cpu, o->dst, value);  // a 32-bit CMOV clears the upper half even when it does not move
  HUSK_NEXT(cpu, o);
}
template <int cc, class T>
const Op* cmov_m(Cpu& cpu, const Op* o) {
  T value;
  if (!load<T>(cpu, o, linear_address(cpu, o), value)) [[unlikely]]
    return nullptr;
  set_reg<T>(cpu, o->dst, condition<cc>(cpu.status) ? value : reg<T>(cpu, o->dst));
  HUSK_NEXT(cpu, o);
}

template <int cc>
const Op* setcc_r(Cpu& cpu, const Op* o) {
  set_reg<uint8_t>(cpu, o->dst, condition<cc>(cpu.status));
  HUSK_NEXT(cpu, o);
}
template <int cc>
const Op* setcc_m(Cpu& cpu, const Op* o) {
  if (!store<uint8_t>(cpu, o, linear_address(cpu, o), condition<cc>(cpu.status))) [[unlikely]]
    return nullptr;
  HUSK_NEXT(cpu, o);
}

template <class T>
const Op* xchg_rr(Cpu& cpu, const Op* o) {
  const T a = reg<T>(cpu, o->dst);
  const T b = reg<T>(cpu, o->src);
  set_reg<T>(cpu, o->src, a);
  set_reg<T>(cpu, o->dst, b);
  HUSK_NEXT(cpu, o);
}
// XCHG with memory is locked without being told.
template <class T>
const Op* xchg_mr(Cpu& cpu, const Op* o) {
  T value = reg<T>(cpu, o->src);
  const auto atomic = [&](T* at) {
    asm volatile("xchg %0, %1" : "+r"(value), "+m"(*at)::"memory");
  };
  if (!modify_locked<T>(cpu, o, linear_address(cpu, o), atomic)) [[unlikely]]
    return nullptr;
  set_reg<T>(cpu, o->src, value);
  HUSK_NEXT(cpu, o);
}

template <class T>
T swap_bytes(T value) {
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  return static_cast<T>(__builtin_bswap64(value));
}
template <class T>
const Op* bswap(Cpu& cpu, const Op* o) {
  // With a 16-bit operand the result is undefined; processors give zero.
  set_reg<T>(cpu, o->dst, sizeof(T) == 2 ? T{0} : swap_bytes<T>(reg<T>(cpu, o->dst)));
  HUSK_NEXT(cpu, o);
}
template <class T>
const Op* movbe_load(Cpu& cpu, const Op* o) {
  T value;
  if (!load<T>(cpu, o, linear_address(cpu, o), value)) [[unlikely]]
    return nullptr;
  set_reg<T>(cpu, o->dst, swap_bytes<T>(value));
  HUSK_NEXT(cpu, o);
}
template <class T>
const Op* movbe_store(Cpu& cpu, const Op* o) {
  if (!store<T>(cpu, o, linear_address(cpu, o), swap_bytes<T>(reg<T>(cpu, o->src)))) [[unlikely]]
    return nullptr;
  HUSK_NEXT(cpu, o);
}

// CBW CWDE CDQE: the half-width accumulator, sign-extended.
template <class Half, class T>
const Op* widen_ax(Cpu& cpu, const Op* o) {
  set_reg<T>(cpu, 0, static_cast<T>(static_cast<Half>(reg<std::make_unsigned_t<Half>>(cpu, 0))));
  HUSK_NEXT(cpu, o);
}
// CWD CDQ CQO: the accumulator's sign in the data register.
template <class T>
const Op* sign_to_dx(Cpu& cpu, const Op* o) {
  const bool negative = static_cast<std::make_signed_t<T>>(reg<T>(cpu, 0)) < 0;
  set_reg<T>(cpu, contract::x86::kRdx * 8, negative ? static_cast<T>(~T{0}) : T{0});
  HUSK_NEXT(cpu, o);
}

template <template <int> class Family, int... cc>
constexpr auto table_of(std::integer_sequence<int, cc...>) {
  return std::array{Family<cc>::handlers()...};
}

template <int cc>
struct SetccFamily {
  static constexpr std::array<Handler, 2> handlers() { return {setcc_r<cc>, setcc_m<cc>}; }
};
template <int cc>
struct CmovFamily {
  static constexpr std::array<Handler, 6> handlers() {
    return {cmov_r<cc, uint16_t>, cmov_r<cc, uint32_t>, cmov_r<cc, uint64_t>,
            cmov_m<cc, uint16_t>, cmov_m<cc, uint32_t>, cmov_m<cc, uint64_t>};
  }
};
constexpr auto kSetcc = table_of<SetccFamily>(std::make_integer_sequence<int, 16>{});
constexpr auto kCmov = table_of<CmovFamily>(std::make_integer_sequence<int, 16>{});

template <class From>
Handler extend_to(bool memory, int to_log2) {
  switch (to_log2) {
    case 1:
      return memory ? extend_m<From, uint16_t> : extend_r<From, uint16_t>;
    case 2:
      return memory ? extend_m<From, uint32_t> : extend_r<From, uint32_t>;
    default:
      return memory ? extend_m<From, uint64_t> : extend_r<From, uint64_t>;
  }
}

}  // namespace

Handler mov_handler(Form form, int log2) {
  return with_size(1u << log2, [&]<class T>() -> Handler {
    switch (form) {
      case Form::kRegReg:
        return mov_rr<T>;
      case Form::kRegImm:
        return mov_ri<T>;
      case Form::kRegMem:
        return mov_rm<T>;
      case Form::kMemReg:
        return mov_mr<T>;
      default:
        return mov_mi<T>;
    }
  });
}

Handler extend_handler(bool sign, bool memory, int from_log2, int to_log2) {
  switch (from_log2) {
    case 0:
      return sign ? extend_to<int8_t>(memory, to_log2) : extend_to<uint8_t>(memory, to_log2);
    case 1:
      return sign ? extend_to<int16_t>(memory, to_log2) : extend_to<uint16_t>(memory, to_log2);
    default:
      return sign ? extend_to<int32_t>(memory, to_log2) : extend_to<uint32_t>(memory, to_log2);
  }
}

Handler lea_handler(int log2) {
  return with_size(1u << log2, [&]<class T>() -> Handler { return lea<T>; });
}

Handler cmov_handler(int cc, bool memory, int log2) {
  return kCmov[static_cast<size_t>(cc)][static_cast<size_t>(log2 - 1 + (memory ? 3 : 0))];
}

Handler setcc_handler(int cc, bool memory) {
  return kSetcc[static_cast<size_t>(cc)][memory ? 1 : 0];
}

Handler xchg_handler(bool memory, int log2) {
  return with_size(1u << log2,
                   [&]<class T>() -> Handler { return memory ? xchg_mr<T> : xchg_rr<T>; });
}

Handler bswap_handler(int log2) {
  return with_size(1u << log2, [&]<class T>() -> Handler { return bswap<T>; });
}

Handler movbe_handler(bool store, int log2) {
  return with_size(1u << log2,
                   [&]<class T>() -> Handler { return store ? movbe_store<T> : movbe_load<T>; });
}

Handler convert_handler(bool to_dx, int log2) {
  switch (log2) {
    case 1:
      return to_dx ? sign_to_dx<uint16_t> : widen_ax<int8_t, uint16_t>;
    case 2:
      return to_dx ? sign_to_dx<uint32_t> : widen_ax<int16_t, uint32_t>;
    default:
      return to_dx ? sign_to_dx<uint64_t> : widen_ax<int32_t, uint64_t>;
  }
}

}  // namespace husk::soft::interp
