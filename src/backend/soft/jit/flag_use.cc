#include "backend/soft/jit/flag_use.h"

#include "backend/soft/fpu/vex_table.h"

namespace husk::soft::jit {

using decode::Insn;
using decode::OpMap;

namespace {

constexpr FlagUse kNothing{}, kUnknown{kAllFlags, 0, true}, kKillsAll{0, kAllFlags, true};
constexpr FlagUse kChangesSome{0, 0, true};  // by a count that may be zero

constexpr FlagSet kConditionReads[] = {
    kFlagOf, kFlagCf, kFlagZf,           kFlagCf | kFlagZf,
    kFlagSf, kFlagPf, kFlagSf | kFlagOf, kFlagZf | kFlagSf | kFlagOf};

constexpr FlagSet kZeroAndCarry = kFlagZf | kFlagCf;

FlagUse condition(uint8_t opcode) { return {kConditionReads[opcode >> 1 & 7], 0, false}; }

FlagUse alu(int kind) {
  const bool carries = kind == 2 || kind == 3;  // ADC, SBB
  return {carries ? kFlagCf : FlagSet{0}, kAllFlags, true};
}

// By an immediate: a count of zero leaves everything, rotates all but CF and OF.
FlagUse shift(const Insn& insn, bool by_one) {
  const int group = insn.group();
  const auto count = by_one ? 1 : insn.imm & (insn.operand_size == 8 ? 63 : 31);
  if (count == 0) return kNothing;
  if (group >= 4) return kKillsAll;
  if (group >= 2) return {kFlagCf, kFlagCf, true};
  return {0, kFlagCf, true};
}

FlagUse group3(const Insn& insn) {
  switch (insn.group()) {
    case 2:
      return kNothing;  // NOT
    case 6:
    case 7:
      return kChangesSome;  // DIV, IDIV: undefined, and on some processors unchanged
    default:
      return kKillsAll;
  }
}

// FCMOVcc reads, FCOMI and its kin write.
FlagUse x87(const Insn& insn) {
  const bool moves = insn.opcode == 0xda || insn.opcode == 0xdb;
  const bool compares = insn.opcode == 0xdb || insn.opcode == 0xdf;
  if (!insn.memory && moves && insn.group() < 4) return {kFlagCf | kFlagZf | kFlagPf, 0, false};
  if (!insn.memory && compares && (insn.group() == 5 || insn.group() == 6)) return kKillsAll;
  return kNothing;
}

FlagUse primary(const Insn& insn) {
  const uint8_t op = insn.opcode;
  if (op >= 0xd8 && op <= 0xdf) return x87(insn);
  if (op < 0x40) return (op & 7) < 6 ? alu(op >> 3) : kUnknown;
  if (op >= 0x50 && op <= 0x5f) return kNothing;
  if (op >= 0x70 && op <= 0x7f) return condition(op);
  if (op >= 0x80 && op <= 0x83) return alu(insn.group());
  if (op >= 0x86 && op <= 0x8d) return kNothing;
  if (op >= 0x90 && op <= 0x99) return kNothing;
  if (op >= 0xb0 && op <= 0xbf) return kNothing;
  switch (op) {
    case 0x63:
    case 0x68:
    case 0x6a:
    case 0xc2:
    case 0xc3:
    case 0xc6:
    case 0xc7:
    case 0xc9:
    case 0xe8:
    case 0xe9:
    case 0xeb:
      return kNothing;
    case 0x69:
    case 0x6b:
    case 0x84:
    case 0x85:
    case 0xa8:
    case 0xa9:
      return kKillsAll;
    case 0xc0:
    case 0xc1:
      return shift(insn, false);
    case 0xd0:
    case 0xd1:
      return shift(insn, true);
    case 0xd2:
    case 0xd3:
      // RCL and RCR take the carry in.
      return {(insn.group() & 6) == 2 ? kFlagCf : FlagSet{0}, 0, true};
    case 0xfa:
      return kNothing;
    case 0xf5:
      return {kFlagCf, kFlagCf, true};
    case 0xf8:
    case 0xf9:
      return {0, kFlagCf, true};
    case 0xf6:
    case 0xf7:
      return group3(insn);
    case 0xfe:
    case 0xff:
      if (insn.group() < 2) return {0, kAllFlags & ~kFlagCf, true};
      return insn.group() == 2 || insn.group() == 4 || insn.group() == 6 ? kNothing : kUnknown;
    default:
      return kUnknown;
  }
}

FlagUse double_shift(const Insn& insn) {
  const bool by_cl = (insn.opcode & 1) != 0;
  if (by_cl) return kChangesSome;
  return (insn.imm & (insn.operand_size == 8 ? 63 : 31)) == 0 ? kNothing : kKillsAll;
}

FlagUse two_byte(const Insn& insn) {
  const uint8_t op = insn.opcode;
  if (op >= 0x40 && op <= 0x4f) return condition(op);
  if (op >= 0x80 && op <= 0x9f) return condition(op);
  if (op >= 0xc8 && op <= 0xcf) return kNothing;
  if (op >= 0x18 && op <= 0x1f) return kNothing;
  if (op == 0x2e || op == 0x2f) return kKillsAll;
  switch (op) {
    case 0x01:
      return kNothing;  // SWAPGS
    case 0xa3:
    case 0xab:
    case 0xb3:
    case 0xbb:
    case 0xba:  // the rest is undefined, and on processors unchanged
      return {0, kFlagCf, true};
    case 0xa4:
    case 0xa5:
    case 0xac:
    case 0xad:
      return double_shift(insn);
    case 0xaf:
    case 0xb0:
    case 0xb1:
    case 0xc0:
    case 0xc1:
    case 0xb8:
      return kKillsAll;
    case 0xbc:
    case 0xbd:  // TZCNT and LZCNT set CF too
      return {0, insn.rep == decode::Rep::kRepe ? kZeroAndCarry : kFlagZf, true};
    case 0x0d:
    case 0xb6:
    case 0xb7:
    case 0xbe:
    case 0xbf:
    case 0xc3:
    case 0xae:
      return kNothing;
    default:
      return (op >= 0x10 && op <= 0x17) || (op >= 0x28 && op <= 0x2d) ||
                     (op >= 0x50 && op <= 0x7f) || op == 0xc2 || (op >= 0xc4 && op <= 0xc6) ||
                     op >= 0xd0
                 ? kNothing
                 : kUnknown;
  }
}

FlagUse vex(const Insn& insn) {
  const auto form = fpu::vex_form(insn);
  if (!form) return kUnknown;
  return form->flags ? kKillsAll : kNothing;
}

}  // namespace

FlagUse flag_use(const Insn& insn) {
  if (insn.vex) return vex(insn);
  switch (insn.map) {
    case OpMap::kPrimary:
      return primary(insn);
    case OpMap::k0F:
      return two_byte(insn);
    case OpMap::k0F38:
      if (insn.opcode == 0x17) return kKillsAll;  // PTEST
      return insn.opcode < 0xf0 ? kNothing : kUnknown;
    case OpMap::k0F3A:
      return insn.opcode >= 0x60 && insn.opcode <= 0x63 ? kKillsAll : kNothing;
  }
  return kUnknown;
}

}  // namespace husk::soft::jit
