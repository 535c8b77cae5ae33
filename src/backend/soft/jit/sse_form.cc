#include "backend/soft/jit/sse_form.h"

#include "backend/soft/fpu/simd_table.h"

namespace husk::soft::jit {

using decode::Insn;
using decode::OpMap;
using fpu::Operands;

namespace {

// What loads MXCSR or the XMM registers: how they are kept has to be looked at again.
bool loads_state(const Insn& insn) {
  return insn.map == OpMap::k0F && insn.opcode == 0xae && insn.memory && insn.group() < 3;
}

uint8_t prefix_of(const Insn& insn) {
  constexpr uint8_t kBytes[] = {0, 0x66, 0xf3, 0xf2};
  return kBytes[fpu::simd_prefix(insn)];
}

bool roles(Operands operands, Form& form) {
  switch (operands) {
    case Operands::kXmmXmm:
    case Operands::kFlags:
      form.reg_role = form.rm_role = Role::kVector;
      return true;
    case Operands::kXmmStore:
      form.reg_role = form.rm_role = Role::kVector;
      form.writes_memory = true;
      return true;
    case Operands::kXmmGpr:
      form.reg_role = Role::kVector;
      form.rm_role = Role::kSource;
      return true;
    case Operands::kGprXmm:
      form.reg_role = Role::kTarget;
      form.rm_role = Role::kVector;
      return true;
    case Operands::kGprStore:
      form.reg_role = Role::kVector;
      form.rm_role = Role::kTarget;
      form.writes_memory = true;
      return true;
    case Operands::kXmmShift:
      form.reg_role = Role::kNone;
      form.rm_role = Role::kVector;
      return true;
    default:
      return false;
  }
}

}  // namespace

Form sse_form(const Insn& insn) {
  Form form;
  if (loads_state(insn)) {
    form.last = true;
    return form;
  }
  const auto simd = fpu::simd_form(insn);
  if (!simd || !roles(simd->operands, form)) return {};
  form.family = Family::kPlain;
  form.sse = true;
  form.encoding = {.opcode = insn.opcode,
                   .map = static_cast<uint8_t>(insn.map),
                   .prefix = prefix_of(insn),
                   .wide = insn.rex_w};
  form.reg = form.reg_role == Role::kNone ? insn.group() : insn.reg;
  form.rm = insn.rm;
  form.memory = insn.memory;
  form.size = simd->size;
  form.aligned = simd->aligned && insn.memory;
  form.needs_register = form.rm_role == Role::kTarget;
  form.imm_bytes = insn.imm_size;
  form.imm = insn.imm;
  return form;
}

}  // namespace husk::soft::jit
