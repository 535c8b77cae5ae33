// The forms of opcodes behind 0F (Intel SDM vol. 2, appendix A).
#include "backend/soft/jit/form_parts.h"
#include "backend/soft/jit/registers.h"
#include "backend/soft/jit/sse_form.h"

namespace husk::soft::jit {

using decode::Insn;

namespace {

Form bit_test(const Insn& insn, uint8_t kind, Role reg) {
  if (insn.memory && reg != Role::kNone) return {};  // the bit may be anywhere in memory
  Form form = plain(insn, insn.operand_size, reg, kind == 0 ? Role::kSource : Role::kBoth);
  form.needs_register = true;
  return form;
}

Form extend(const Insn& insn) {
  const uint8_t from = (insn.opcode & 1) == 0 ? 1 : 2;
  if (from == insn.operand_size) return {};
  return plain(insn, from, Role::kTarget, Role::kSource, insn.operand_size);
}

// TZCNT and LZCNT, with the prefix; else with an operand of zero the target keeps its value.
Form bit_scan(const Insn& insn) {
  const bool counts = insn.rep == decode::Rep::kRepe;
  if (counts && insn.operand_size == 2) return {};
  Form form = plain(insn, insn.operand_size, counts ? Role::kTarget : Role::kBoth, Role::kSource);
  if (counts) form.encoding.prefix = 0xf3;
  return form;
}

Form compare_exchange(const Insn& insn) {
  Form form = plain(insn, byte_or_full(insn), Role::kSource, Role::kBoth);
  const bool simple = insn.memory && !in_memory(insn.reg);
  if (form.family == Family::kPlain)
    form.family = simple ? Family::kCompareExchange : Family::kInterpreted;
  return form;
}

}  // namespace

Form two_byte_form(const Insn& insn) {
  const uint8_t op = insn.opcode;
  if (op >= 0x40 && op <= 0x4f) return plain(insn, insn.operand_size, Role::kBoth, Role::kSource);
  if (op >= 0x80 && op <= 0x8f) return near_branch(insn, Family::kJumpIf);
  if (op >= 0x90 && op <= 0x9f) {
    Form form = plain(insn, 1, Role::kNone, Role::kTarget);
    form.reg = 0;
    form.encoding.prefix = 0;
    form.encoding.wide = false;
    return form;
  }
  if (op >= 0xc8 && op <= 0xcf) {
    if (insn.operand_size == 2) return {};
    Form form = family(Family::kConvert);
    form.rm = insn.rm;
    return form;
  }
  if ((op >= 0x18 && op <= 0x1f) || op == 0x0d) return family(Family::kNothing);
  switch (op) {
    case 0x01:
      return insn.memory || insn.group() != 7 || insn.rm != 0 ? Form{} : family(Family::kSwapGs);
    case 0xa3:
    case 0xab:
    case 0xb3:
    case 0xbb:
      return bit_test(insn, (op >> 3) & 3, Role::kSource);
    case 0xba:
      return insn.group() < 4 ? Form{} : bit_test(insn, insn.group() & 3, Role::kNone);
    case 0xa4:
    case 0xac:
      return plain(insn, insn.operand_size, Role::kSource, Role::kBoth);
    case 0xaf:
      return plain(insn, insn.operand_size, Role::kBoth, Role::kSource);
    case 0xb0:
    case 0xb1:
      return compare_exchange(insn);
    case 0xc0:
    case 0xc1:
      return plain(insn, byte_or_full(insn), Role::kBoth, Role::kBoth);
    case 0xb6:
    case 0xb7:
    case 0xbe:
    case 0xbf:
      return extend(insn);
    case 0xb8: {
      Form form = plain(insn, insn.operand_size, Role::kTarget, Role::kSource);
      if (insn.operand_size == 2) return {};
      form.encoding.prefix = 0xf3;
      return form;
    }
    case 0xbc:
    case 0xbd:
      return bit_scan(insn);
    case 0xc3:
      return plain(insn, insn.operand_size, Role::kSource, Role::kTarget);
    default:
      return sse_form(insn);
  }
}

}  // namespace husk::soft::jit
