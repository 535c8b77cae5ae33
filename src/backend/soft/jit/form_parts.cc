#include "backend/soft/jit/form_parts.h"

namespace husk::soft::jit {

using decode::Insn;

bool high_byte(const Insn& insn, uint8_t reg) { return !insn.rex && reg >= 4 && reg < 8; }

Form family(Family what) {
  Form form;
  form.family = what;
  return form;
}

Form plain(const Insn& insn, uint8_t size, Role reg, Role rm, uint8_t reg_size) {
  Form form;
  if (reg_size == 0) reg_size = size;
  const bool reg_high = reg != Role::kNone && reg_size == 1 && high_byte(insn, insn.reg);
  const bool rm_high = !insn.memory && size == 1 && high_byte(insn, insn.rm);
  if (reg_high || rm_high) return form;
  form.family = Family::kPlain;
  form.encoding = {.opcode = insn.opcode,
                   .map = static_cast<uint8_t>(insn.map),
                   .prefix = static_cast<uint8_t>(insn.operand_size == 2 ? 0x66 : 0),
                   .wide = insn.operand_size == 8,
                   .bytes = size == 1 || reg_size == 1,
                   .lock = insn.lock};
  form.reg = reg == Role::kNone ? insn.group() : insn.reg;
  form.rm = insn.rm;
  form.reg_role = reg;
  form.rm_role = rm;
  form.memory = insn.memory;
  form.writes_memory = rm == Role::kTarget || rm == Role::kBoth;
  form.size = size;
  form.imm_bytes = insn.imm_size;
  form.imm = insn.imm;
  return form;
}

uint8_t byte_or_full(const Insn& insn) {
  return (insn.opcode & 1) == 0 ? uint8_t{1} : insn.operand_size;
}

Form near_branch(const Insn& insn, Family what) {
  if (insn.operand_size != 8) return {};
  Form form = family(what);
  form.imm = insn.imm;
  return form;
}

}  // namespace husk::soft::jit
