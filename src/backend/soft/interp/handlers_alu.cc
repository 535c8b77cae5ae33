// ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NOT NEG, with and without LOCK.
#include "backend/soft/interp/alu.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

constexpr bool writes_back(int op) { return op != kCmp && op != kTest; }

template <int op, class T>
const Op* alu_rr(Cpu& cpu, const Op* o) {
  const T result = alu<op, T>(reg<T>(cpu, o->dst), reg<T>(cpu, o->src), cpu.status);
  if constexpr (writes_back(op)) set_reg<T>(cpu, o->dst, result);
  HUSK_NEXT(cpu, o);
}

template <int op, class T>
const Op* alu_ri(Cpu& cpu, const Op* o) {
  const T result = alu<op, T>(reg<T>(cpu, o->dst), static_cast<T>(o->imm), cpu.status);
  if constexpr (writes_back(op)) set_reg<T>(cpu, o->dst, result);
  HUSK_NEXT(cpu, o);
}

template <int op, class T>
const Op* alu_rm(Cpu& cpu, const Op* o) {
  T value;
  if (!load<T>(cpu, o, linear_address(cpu, o), value)) [[unlikely]]
    return nullptr;
  const T result = alu<op, T>(reg<T>(cpu, o->dst), value, cpu.status);
  if constexpr (writes_back(op)) set_reg<T>(cpu, o->dst, result);
  HUSK_NEXT(cpu, o);
}

template <int op, class T, bool immediate>
const Op* alu_m(Cpu& cpu, const Op* o) {
  const T operand = immediate ? static_cast<T>(o->imm) : reg<T>(cpu, o->src);
  const uint64_t linear = linear_address(cpu, o);
  if constexpr (writes_back(op)) {
    const bool done =
        modify<T>(cpu, o, linear, [&](T old) { return alu<op, T>(old, operand, cpu.status); });
    if (!done) [[unlikely]]
      return nullptr;
  } else {
    T value;
    if (!load<T>(cpu, o, linear, value)) [[unlikely]]
      return nullptr;
    alu<op, T>(value, operand, cpu.status);
  }
  HUSK_NEXT(cpu, o);
}

template <int op, class T, bool immediate>
const Op* alu_m_locked(Cpu& cpu, const Op* o) {
  const T operand = immediate ? static_cast<T>(o->imm) : reg<T>(cpu, o->src);
  const auto atomic = [&](T* at) { alu_locked<op, T>(at, operand, cpu.status); };
  if (!modify_locked<T>(cpu, o, linear_address(cpu, o), atomic)) [[unlikely]]
    return nullptr;
  HUSK_NEXT(cpu, o);
}

template <int op, class T>
Handler pick(Form form, bool lock) {
  switch (form) {
    case Form::kRegReg:
      return lock ? undefined_handler() : alu_rr<op, T>;
    case Form::kRegImm:
      return lock ? undefined_handler() : alu_ri<op, T>;
    case Form::kRegMem:
      return lock ? undefined_handler() : alu_rm<op, T>;
    case Form::kMemReg:
      break;
    case Form::kMemImm:
      break;
  }
  const bool immediate = form == Form::kMemImm;
  if (!lock) return immediate ? alu_m<op, T, true> : alu_m<op, T, false>;
  if constexpr (writes_back(op))
    return immediate ? alu_m_locked<op, T, true> : alu_m_locked<op, T, false>;
  return undefined_handler();
}

template <class T>
Handler pick_op(int op, Form form, bool lock) {
  switch (op) {
    case kAdd:
      return pick<kAdd, T>(form, lock);
    case kOr:
      return pick<kOr, T>(form, lock);
    case kAdc:
      return pick<kAdc, T>(form, lock);
    case kSbb:
      return pick<kSbb, T>(form, lock);
    case kAnd:
      return pick<kAnd, T>(form, lock);
    case kSub:
      return pick<kSub, T>(form, lock);
    case kXor:
      return pick<kXor, T>(form, lock);
    case kCmp:
      return pick<kCmp, T>(form, lock);
    default:
      return pick<kTest, T>(form, lock);
  }
}

enum Unary : int { kInc, kDec, kNot, kNeg };

template <int op, class T>
[[gnu::always_inline]] inline T unary(T value, Status& st) {
  if constexpr (op == kInc) return step_one<true, T>(value, st);
  if constexpr (op == kDec) return step_one<false, T>(value, st);
  if constexpr (op == kNot) return static_cast<T>(~value);
  return negate<T>(value, st);
}

template <int op, class T>
const Op* unary_r(Cpu& cpu, const Op* o) {
  set_reg<T>(cpu, o->dst, unary<op, T>(reg<T>(cpu, o->dst), cpu.status));
  HUSK_NEXT(cpu, o);
}

template <int op, class T>
const Op* unary_m(Cpu& cpu, const Op* o) {
  const bool done = modify<T>(cpu, o, linear_address(cpu, o),
                              [&](T old) { return unary<op, T>(old, cpu.status); });
  if (!done) [[unlikely]]
    return nullptr;
  HUSK_NEXT(cpu, o);
}

template <int op, class T>
const Op* unary_m_locked(Cpu& cpu, const Op* o) {
  const auto atomic = [&](T* at) {
    T old = __atomic_load_n(at, __ATOMIC_RELAXED);
    Status st;
    T next;
    do {
      st = cpu.status;
      next = unary<op, T>(old, st);
    } while (
        !__atomic_compare_exchange_n(at, &old, next, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    cpu.status = st;
  };
  if (!modify_locked<T>(cpu, o, linear_address(cpu, o), atomic)) [[unlikely]]
    return nullptr;
  HUSK_NEXT(cpu, o);
}

template <int op, class T>
Handler pick_unary(bool memory, bool lock) {
  if (!memory) return lock ? undefined_handler() : unary_r<op, T>;
  return lock ? unary_m_locked<op, T> : unary_m<op, T>;
}

}  // namespace

Handler alu_handler(int alu_op, Form form, int log2, bool lock) {
  return with_size(1u << log2, [&]<class T>() { return pick_op<T>(alu_op, form, lock); });
}

Handler unary_handler(int group, bool memory, int log2, bool lock) {
  return with_size(1u << log2, [&]<class T>() {
    switch (group) {
      case kInc:
        return pick_unary<kInc, T>(memory, lock);
      case kDec:
        return pick_unary<kDec, T>(memory, lock);
      case kNot:
        return pick_unary<kNot, T>(memory, lock);
      default:
        return pick_unary<kNeg, T>(memory, lock);
    }
  });
}

}  // namespace husk::soft::interp
