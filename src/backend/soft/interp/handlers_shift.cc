// Shifts, rotates and double shifts. An op's `imm` is the count of the immediate forms; the
// register forms take CL.
#include "backend/soft/interp/alu.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

template <bool by_cl>
[[gnu::always_inline]] inline uint8_t count_of(const Cpu& cpu, const Op* o) {
  return by_cl ? reg<uint8_t>(cpu, contract::x86::kRcx * 8) : static_cast<uint8_t>(o->imm);
}

template <int op, class T, bool by_cl>
const Op* shift_r(Cpu& cpu, const Op* o) {
  set_reg<T>(cpu, o->dst, shift<op, T>(reg<T>(cpu, o->dst), count_of<by_cl>(cpu, o), cpu.status));
  HUSK_NEXT(cpu, o);
}
template <int op, class T, bool by_cl>
const Op* shift_m(Cpu& cpu, const Op* o) {
  const uint8_t count = count_of<by_cl>(cpu, o);
  const bool done = modify<T>(cpu, o, linear_address(cpu, o),
                              [&](T old) { return shift<op, T>(old, count, cpu.status); });
  if (!done) [[unlikely]]
    return nullptr;
  HUSK_NEXT(cpu, o);
}

template <bool left, class T, bool by_cl>
const Op* double_r(Cpu& cpu, const Op* o) {
  set_reg<T>(cpu, o->dst,
             double_shift<left, T>(reg<T>(cpu, o->dst), reg<T>(cpu, o->src),
                                   count_of<by_cl>(cpu, o), cpu.status));
  HUSK_NEXT(cpu, o);
}
template <bool left, class T, bool by_cl>
const Op* double_m(Cpu& cpu, const Op* o) {
  const uint8_t count = count_of<by_cl>(cpu, o);
  const T from = reg<T>(cpu, o->src);
  const bool done = modify<T>(cpu, o, linear_address(cpu, o), [&](T old) {
    return double_shift<left, T>(old, from, count, cpu.status);
  });
  if (!done) [[unlikely]]
    return nullptr;
  HUSK_NEXT(cpu, o);
}

template <int op, class T>
Handler pick_form(bool memory, bool by_cl) {
  if (memory) return by_cl ? shift_m<op, T, true> : shift_m<op, T, false>;
  return by_cl ? shift_r<op, T, true> : shift_r<op, T, false>;
}

template <class T>
Handler pick_op(int op, bool memory, bool by_cl) {
  switch (op) {
    case kRol:
      return pick_form<kRol, T>(memory, by_cl);
    case kRor:
      return pick_form<kRor, T>(memory, by_cl);
    case kRcl:
      return pick_form<kRcl, T>(memory, by_cl);
    case kRcr:
      return pick_form<kRcr, T>(memory, by_cl);
    case kShr:
      return pick_form<kShr, T>(memory, by_cl);
    case kSar:
      return pick_form<kSar, T>(memory, by_cl);
    default:
      return pick_form<kShl, T>(memory, by_cl);
  }
}

template <bool left, class T>
Handler pick_double(bool memory, bool by_cl) {
  if (memory) return by_cl ? double_m<left, T, true> : double_m<left, T, false>;
  return by_cl ? double_r<left, T, true> : double_r<left, T, false>;
}

}  // namespace

Handler shift_handler(int shift_op, bool memory, bool by_cl, int log2) {
  return with_size(1u << log2, [&]<class T>() { return pick_op<T>(shift_op, memory, by_cl); });
}

Handler double_shift_handler(bool left, bool memory, bool by_cl, int log2) {
  switch (log2) {
    case 1:
      return left ? pick_double<true, uint16_t>(memory, by_cl)
                  : pick_double<false, uint16_t>(memory, by_cl);
    case 2:
      return left ? pick_double<true, uint32_t>(memory, by_cl)
                  : pick_double<false, uint32_t>(memory, by_cl);
    default:
      return left ? pick_double<true, uint64_t>(memory, by_cl)
                  : pick_double<false, uint64_t>(memory, by_cl);
  }
}

}  // namespace husk::soft::interp
