#include "backend/soft/jit/vex_form.h"

#include "backend/soft/fpu/simd_table.h"
#include "backend/soft/fpu/vex_table.h"
#include "backend/soft/jit/registers.h"

namespace husk::soft::jit {

using decode::Insn;
using fpu::VexOperands;

namespace {

void roles(Form& form, Role reg, Role rm, Role vvvv = Role::kVector) {
  form.reg_role = reg;
  form.rm_role = rm;
  form.vvvv_role = vvvv;
}

// False: it is interpreted, as what goes lane by lane or has registers of its own.
bool set_roles(VexOperands operands, Form& form) {
  using enum VexOperands;
  switch (operands) {
    case kThree:
    case kAccumulate:
    case kBlend:
    case kTwo:
    case kFlags:
    case kStore:
    case kMerge:
      roles(form, Role::kVector, Role::kVector);
      return true;
    case kShift:
      roles(form, Role::kNone, Role::kVector);
      return true;
    case kInsert:
    case kFromGeneral:
      roles(form, Role::kVector, Role::kSource);
      return true;
    case kToGeneral:
      roles(form, Role::kTarget, Role::kVector);
      return true;
    case kExtract:
      roles(form, Role::kVector, Role::kTarget);
      return true;
    case kGeneral:
    case kGeneralSwapped:
      roles(form, Role::kTarget, Role::kSource, Role::kSource);
      return true;
    case kGeneralTwo:
      roles(form, Role::kTarget, Role::kSource, Role::kNone);
      return true;
    case kGeneralGroup:
      roles(form, Role::kNone, Role::kSource, Role::kTarget);
      return true;
    case kMultiply:
      roles(form, Role::kTarget, Role::kSource, Role::kTarget);
      return true;
    default:
      return false;
  }
}

Encoding encoding_of(const Insn& insn, bool wide) {
  constexpr uint8_t kPrefixes[] = {0, 0x66, 0xf3, 0xf2};
  return {.opcode = insn.opcode,
          .map = static_cast<uint8_t>(insn.map),
          .prefix = kPrefixes[fpu::simd_prefix(insn)],
          .wide = wide,
          .vex = true,
          .vex_256 = insn.vex_256,
          .vvvv = insn.vvvv};
}

}  // namespace

Form vex_form(const Insn& insn) {
  const auto known = fpu::vex_form(insn);
  if (!known) return {};
  Form form;
  form.last = known->operands == VexOperands::kLoadControl;
  form.encoding = encoding_of(insn, insn.rex_w);
  const bool general = is_general(known->operands);
  form.sse = form.avx = !general;
  if (known->operands == VexOperands::kZero) {
    form.family = Family::kZeroUpper;
    return form;
  }
  if (!set_roles(known->operands, form)) return form;
  if (general && form.vvvv_role != Role::kNone) {
    if (in_memory(insn.vvvv)) return {};
    form.encoding.vvvv = host_of(insn.vvvv);
  }
  form.family = Family::kPlain;
  form.reg = form.reg_role == Role::kNone ? insn.group() : insn.reg;
  form.rm = insn.rm;
  form.memory = insn.memory;
  form.writes_memory = insn.memory && (known->operands == VexOperands::kStore ||
                                       known->operands == VexOperands::kExtract);
  form.size = known->size;
  form.aligned = known->alignment > 1;
  form.needs_register = form.rm_role == Role::kTarget;
  form.imm_bytes = insn.imm_size;
  form.imm = insn.imm;
  return form;
}

}  // namespace husk::soft::jit
