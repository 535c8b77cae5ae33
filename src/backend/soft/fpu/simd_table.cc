#include "backend/soft/fpu/simd_table.h"

#include <array>

namespace husk::soft::fpu {

using decode::Insn;
using decode::OpMap;
using decode::Rep;
using enum Operands;

Prefix simd_prefix(const Insn& insn) {
  if (insn.rep == Rep::kRepe) return kF3;
  if (insn.rep == Rep::kRepne) return kF2;
  return insn.operand_prefix ? k66 : kNp;
}

namespace {

using Form = std::optional<SimdForm>;

constexpr SimdForm packed() { return {kXmmXmm, 16, true}; }
constexpr SimdForm load(uint8_t size) { return {kXmmXmm, size, false}; }
constexpr SimdForm store(uint8_t size, bool aligned = false) { return {kXmmStore, size, aligned}; }
constexpr SimdForm arithmetic(SimdForm form) {
  form.arithmetic = true;
  return form;
}
constexpr SimdForm memory_only(SimdForm form) {
  form.memory_only = true;
  return form;
}
constexpr SimdForm register_only(SimdForm form) {
  form.register_only = true;
  return form;
}

// The four prefixes of the arithmetic rows: packed single, packed double, scalar single, scalar
// double.
SimdForm four_ways(Prefix p) {
  return arithmetic(p == kF3 ? load(4) : p == kF2 ? load(8) : packed());
}

// Rows that are MMX without a prefix and SSE2 with 66.
Form integer_pair(Prefix p, uint8_t mmx_size = 8) {
  if (p == kNp) return SimdForm{kMmxMmx, mmx_size};
  if (p == k66) return packed();
  return std::nullopt;
}

Form moves_10_17(const Insn& insn, Prefix p) {
  switch (insn.opcode) {
    case 0x10:
      return load(p == kF3 ? 4 : p == kF2 ? 8 : 16);
    case 0x11:
      return store(p == kF3 ? 4 : p == kF2 ? 8 : 16);
    case 0x12:
      if (p == kNp) return load(8);
      if (p == k66) return memory_only(load(8));
      return p == kF3 ? packed() : load(8);
    case 0x13:
    case 0x17:
      return p <= k66 ? Form(memory_only(store(8))) : std::nullopt;
    case 0x14:
    case 0x15:
      return p <= k66 ? Form(packed()) : std::nullopt;
    default:  // 16
      if (p == kNp) return load(8);
      if (p == k66) return memory_only(load(8));
      return p == kF3 ? Form(packed()) : std::nullopt;
  }
}

Form conversions_28_2f(const Insn& insn, Prefix p) {
  const uint8_t general = insn.rex_w ? 8 : 4;
  switch (insn.opcode) {
    case 0x28:
      return p <= k66 ? Form(packed()) : std::nullopt;
    case 0x29:
      return p <= k66 ? Form(store(16, true)) : std::nullopt;
    case 0x2a:
      return arithmetic(p <= k66 ? SimdForm{kXmmMmx, 8} : SimdForm{kXmmGpr, general});
    case 0x2b:
      return p <= k66 ? Form(memory_only(store(16, true))) : std::nullopt;
    case 0x2c:
    case 0x2d:
      if (p == kNp) return arithmetic({kMmxXmm, 8});
      if (p == k66) return arithmetic({kMmxXmm, 16, true});
      return arithmetic({kGprXmm, static_cast<uint8_t>(p == kF3 ? 4 : 8)});
    default:  // 2e, 2f
      return p <= k66 ? Form(arithmetic({kFlags, static_cast<uint8_t>(p == kNp ? 4 : 8)}))
                      : std::nullopt;
  }
}

Form arithmetic_50_5f(const Insn& insn, Prefix p) {
  switch (insn.opcode) {
    case 0x50:
      return p <= k66 ? Form(register_only({kGprXmm, 0})) : std::nullopt;
    case 0x52:
    case 0x53:
      if (p == kNp) return packed();
      return p == kF3 ? Form(load(4)) : std::nullopt;
    case 0x54:
    case 0x55:
    case 0x56:
    case 0x57:
      return p <= k66 ? Form(packed()) : std::nullopt;
    case 0x5a:
      return arithmetic(p == kNp ? load(8) : p == k66 ? packed() : load(p == kF3 ? 4 : 8));
    case 0x5b:
      return p != kF2 ? Form(arithmetic(packed())) : std::nullopt;
    default:
      return four_ways(p);
  }
}

Form integers_60_7f(const Insn& insn, Prefix p) {
  const uint8_t general = insn.rex_w ? 8 : 4;
  const uint8_t group = insn.group();
  switch (insn.opcode) {
    case 0x60:
    case 0x61:
    case 0x62:
      return integer_pair(p, 4);
    case 0x6c:
    case 0x6d:
      return p == k66 ? Form(packed()) : std::nullopt;
    case 0x6e:
      if (p == kNp) return SimdForm{kMmxGpr, general};
      return p == k66 ? Form(SimdForm{kXmmGpr, general}) : std::nullopt;
    case 0x6f:
      return p == kF3 ? Form(load(16)) : integer_pair(p);
    case 0x70:
      return p == kNp ? SimdForm{kMmxMmx, 8} : packed();
    case 0x71:
    case 0x72:
    case 0x73: {
      const bool wide_shift = group == 3 || group == 7;
      const bool known = group == 2 || group == 6 || (group == 4 && insn.opcode != 0x73) ||
                         (wide_shift && insn.opcode == 0x73 && p == k66);
      if (!known || p > k66) return std::nullopt;
      return register_only({p == kNp ? kMmxShift : kXmmShift, 0});
    }
    case 0x77:
      return p == kNp ? Form(SimdForm{kEmpty, 0}) : std::nullopt;
    case 0x78:
    case 0x79:
    case 0x7a:
    case 0x7b:
      return std::nullopt;
    case 0x7c:
    case 0x7d:
      return p == k66 || p == kF2 ? Form(arithmetic(packed())) : std::nullopt;
    case 0x7e:
      if (p == kF3) return load(8);
      if (p == kNp) return SimdForm{kGprStoreM, general};
      return p == k66 ? Form(SimdForm{kGprStore, general}) : std::nullopt;
    case 0x7f:
      if (p == kNp) return SimdForm{kMmxStore, 8};
      return p == kF2 ? std::nullopt : Form(store(16, p == k66));
    default:
      return integer_pair(p);
  }
}

Form rows_c0_ff(const Insn& insn, Prefix p) {
  switch (insn.opcode) {
    case 0xc2:
      return four_ways(p);
    case 0xc4:
      if (p > k66) return std::nullopt;
      return SimdForm{p == kNp ? kMmxGpr : kXmmGpr, 2};
    case 0xc5:
    case 0xd7:
      if (p > k66) return std::nullopt;
      return register_only({p == kNp ? kGprMmx : kGprXmm, 0});
    case 0xc6:
      return p <= k66 ? Form(packed()) : std::nullopt;
    case 0xd0:
      return p == k66 || p == kF2 ? Form(arithmetic(packed())) : std::nullopt;
    case 0xd6:
      if (p == k66) return store(8);
      if (p == kF3) return register_only({kXmmMmx, 0});
      return p == kF2 ? Form(register_only({kMmxXmm, 0})) : std::nullopt;
    case 0xe6:
      if (p == kNp) return std::nullopt;
      return arithmetic(p == kF3 ? load(8) : packed());
    case 0xe7:
      if (p == kNp) return memory_only({kMmxStore, 8});
      return p == k66 ? Form(memory_only(store(16, true))) : std::nullopt;
    case 0xf0:
      return p == kF2 ? Form(memory_only(load(16))) : std::nullopt;
    case 0xf7:
      return p <= k66 ? Form(register_only({kMasked, static_cast<uint8_t>(p == kNp ? 8 : 16)}))
                      : std::nullopt;
    case 0xff:
      return std::nullopt;
    default:
      break;
  }
  return insn.opcode >= 0xd1 ? integer_pair(p) : std::nullopt;
}

Form map_0f(const Insn& insn, Prefix p) {
  const uint8_t op = insn.opcode;
  if (op >= 0x10 && op <= 0x17) return moves_10_17(insn, p);
  if (op >= 0x28 && op <= 0x2f) return conversions_28_2f(insn, p);
  if (op >= 0x50 && op <= 0x5f) return arithmetic_50_5f(insn, p);
  if (op >= 0x60 && op <= 0x7f) return integers_60_7f(insn, p);
  return op >= 0xc2 ? rows_c0_ff(insn, p) : std::nullopt;
}

Form map_0f38(const Insn& insn, Prefix p) {
  const uint8_t op = insn.opcode;
  if (op <= 0x0b || (op >= 0x1c && op <= 0x1e)) return integer_pair(p);
  if (op >= 0xc8 && op <= 0xcd) {  // SHA
    SimdForm form = packed();
    form.implicit_xmm0 = op == 0xcb;
    return p == kNp ? Form(form) : std::nullopt;
  }
  if (p != k66) return std::nullopt;
  if (op == 0x10 || op == 0x14 || op == 0x15) {
    SimdForm form = packed();
    form.implicit_xmm0 = true;
    return form;
  }
  if (op == 0x17) return SimdForm{kFlags, 16, true};
  if ((op >= 0x20 && op <= 0x25) || (op >= 0x30 && op <= 0x35)) {
    constexpr std::array<uint8_t, 6> kSizes{8, 4, 2, 8, 4, 8};  // PMOVSX, PMOVZX: BW BD BQ WD WQ DQ
    return load(kSizes[op & 15]);
  }
  if (op == 0x2a) return memory_only(packed());
  if ((op >= 0x28 && op <= 0x2b) || (op >= 0x37 && op <= 0x41) || (op >= 0xdb && op <= 0xdf))
    return packed();
  return std::nullopt;
}

Form map_0f3a(const Insn& insn, Prefix p) {
  const uint8_t op = insn.opcode;
  const uint8_t general = insn.rex_w ? 8 : 4;
  if (op == 0x0f) return integer_pair(p);
  if (op == 0xcc) return p == kNp ? Form(packed()) : std::nullopt;
  if (p != k66) return std::nullopt;
  switch (op) {
    case 0x08:
    case 0x09:
      return arithmetic(packed());
    case 0x0a:
      return arithmetic(load(4));
    case 0x0b:
      return arithmetic(load(8));
    case 0x0c:
    case 0x0d:
    case 0x0e:
    case 0x42:
    case 0x44:
    case 0xdf:
      return packed();
    case 0x14:
      return SimdForm{kGprStore, 1};
    case 0x15:
      return SimdForm{kGprStore, 2};
    case 0x16:
      return SimdForm{kGprStore, general};
    case 0x17:
      return SimdForm{kGprStore, 4};
    case 0x20:
      return SimdForm{kXmmGpr, 1};
    case 0x21:
      return load(4);
    case 0x22:
      return SimdForm{kXmmGpr, general};
    case 0x40:
    case 0x41:
      return arithmetic(packed());
    case 0x60:
    case 0x62:
      return SimdForm{kStringMask, 16};
    case 0x61:
    case 0x63:
      return SimdForm{kStringIndex, 16};
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<SimdForm> simd_form(const Insn& insn) {
  const Prefix p = simd_prefix(insn);
  Form form;
  if (insn.map == OpMap::k0F) form = map_0f(insn, p);
  if (insn.map == OpMap::k0F38) form = map_0f38(insn, p);
  if (insn.map == OpMap::k0F3A) form = map_0f3a(insn, p);
  if (!form || (form->memory_only && !insn.memory) || (form->register_only && insn.memory))
    return std::nullopt;
  return form;
}

}  // namespace husk::soft::fpu
