#include "backend/soft/fpu/x87_table.h"

namespace husk::soft::fpu {

using decode::Insn;
using enum MemAccess;

namespace {

using Form = std::optional<X87Form>;

Form reads(uint16_t size) { return X87Form{kRead, size}; }
Form writes(uint16_t size) { return X87Form{kWrite, size}; }
Form special(Special what, MemAccess memory, uint16_t size, bool waiting) {
  return X87Form{memory, size, what, waiting};
}

Form memory_d9(const Insn& insn) {
  const uint16_t environment = insn.operand_size == 2 ? 14 : 28;
  switch (insn.group()) {
    case 0:
      return reads(4);
    case 2:
    case 3:
      return writes(4);
    case 4:
      return special(Special::kControl, kRead, environment, true);
    case 5:
      return special(Special::kControl, kRead, 2, true);
    case 6:
      return special(Special::kStoreEnvironment, kWrite, environment, false);
    case 7:
      return special(Special::kNone, kWrite, 2, false);  // FNSTCW
    default:
      return std::nullopt;
  }
}

Form memory_db(const Insn& insn) {
  switch (insn.group()) {
    case 0:
      return reads(4);
    case 1:
    case 2:
    case 3:
      return writes(4);
    case 5:
      return reads(10);
    case 7:
      return writes(10);
    default:
      return std::nullopt;
  }
}

Form memory_dd(const Insn& insn) {
  const uint16_t whole = insn.operand_size == 2 ? 94 : 108;
  switch (insn.group()) {
    case 0:
      return reads(8);
    case 1:
    case 2:
    case 3:
      return writes(8);
    case 4:
      return special(Special::kControl, kRead, whole, true);
    case 6:
      return special(Special::kStoreEnvironment, kWrite, whole, false);
    case 7: {
      Form form = writes(2);  // FNSTSW
      form->waiting = false;
      return form;
    }
    default:
      return std::nullopt;
  }
}

Form memory_df(const Insn& insn) {
  switch (insn.group()) {
    case 0:
      return reads(2);
    case 1:
    case 2:
    case 3:
      return writes(2);
    case 4:
      return reads(10);
    case 5:
      return reads(8);
    case 6:
      return writes(10);
    default:
      return writes(8);
  }
}

Form memory_form(const Insn& insn) {
  switch (insn.opcode) {
    case 0xd8:
    case 0xda:
      return reads(4);
    case 0xd9:
      return memory_d9(insn);
    case 0xdb:
      return memory_db(insn);
    case 0xdc:
      return reads(8);
    case 0xdd:
      return memory_dd(insn);
    case 0xde:
      return reads(2);
    default:
      return memory_df(insn);
  }
}

Form register_form(const Insn& insn) {
  const uint8_t group = insn.group();
  const uint8_t rm = insn.rm & 7;
  X87Form form;
  switch (insn.opcode) {
    case 0xd9: {
      // D9 D1-D7, D9 E2, E3, E6, E7, EF do not exist; D9 D8-DF are FSTP1.
      const bool missing = (group == 2 && rm != 0) ||
                           (group == 4 && (rm == 2 || rm == 3 || rm >= 6)) ||
                           (group == 5 && rm == 7);
      return missing ? std::nullopt : Form(form);
    }
    case 0xda:
      form.reads_flags = group < 4;
      return group < 4 || (group == 5 && rm == 1) ? Form(form) : std::nullopt;
    case 0xdb:
      form.reads_flags = group < 4;
      form.writes_flags = group == 5 || group == 6;
      if (group == 4) {
        form.waiting = false;
        if (rm > 4) return std::nullopt;
        if (rm == 2 || rm == 3) form.special = Special::kControl;  // FNCLEX, FNINIT
        // FNENI, FNDISI, FNSETPM: nothing since the 8087 and 80287.
      }
      return group == 7 ? std::nullopt : Form(form);
    case 0xdd:
      return group <= 5 ? Form(form) : std::nullopt;
    case 0xde:
      return group == 3 && rm != 1 ? std::nullopt : Form(form);
    case 0xdf:
      if (group == 4) {
        if (rm != 0) return std::nullopt;
        form.writes_ax = true;
        form.waiting = false;
        return form;
      }
      form.writes_flags = group == 5 || group == 6;
      return group == 7 ? std::nullopt : Form(form);
    default:
      return form;
  }
}

}  // namespace

std::optional<X87Form> x87_form(const Insn& insn) {
  if (insn.opcode == 0x9b) return X87Form{};
  return insn.memory ? memory_form(insn) : register_form(insn);
}

}  // namespace husk::soft::fpu
