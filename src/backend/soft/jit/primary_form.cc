// The forms of one-byte opcodes (Intel SDM vol. 2, appendix A).
#include "backend/soft/fpu/x87_table.h"
#include "backend/soft/jit/form_parts.h"
#include "backend/soft/jit/registers.h"

namespace husk::soft::jit {

using decode::Insn;
using decode::Rep;

namespace {

// Immediates of Iz forms are at most four bytes.
Form accumulator(const Insn& insn, uint8_t opcode, uint8_t extension, Role role) {
  Insn same = insn;
  same.reg = extension;
  same.rm = kGuestRax;
  same.memory = false;
  Form form = plain(same, byte_or_full(insn), Role::kNone, role);
  form.encoding.opcode = static_cast<uint8_t>(opcode | (insn.opcode & 1));
  return form;
}

Form alu(const Insn& insn) {
  const uint8_t kind = insn.opcode >> 3;
  const Role written = kind == 7 ? Role::kSource : Role::kBoth;
  switch (insn.opcode & 7) {
    case 0:
    case 1:
      return plain(insn, byte_or_full(insn), Role::kSource, written);
    case 2:
    case 3:
      return plain(insn, byte_or_full(insn), written, Role::kSource);
    case 4:
    case 5:
      return accumulator(insn, 0x80, kind, written);
    default:
      return {};
  }
}

Form group3(const Insn& insn) {
  const uint8_t size = byte_or_full(insn);
  switch (insn.group()) {
    case 0:
    case 1: {
      Form test = plain(insn, size, Role::kNone, Role::kSource);
      test.reg = 0;
      return test;
    }
    case 2:
    case 3:
      return plain(insn, size, Role::kNone, Role::kBoth);
    case 4:
    case 5: {
      Form multiply = plain(insn, size, Role::kNone, Role::kSource);
      if (multiply.family == Family::kPlain) multiply.family = Family::kMultiply;
      return multiply;
    }
    default: {
      if (size < 4) return {};
      Form divide = plain(insn, size, Role::kNone, Role::kSource);
      divide.family = Family::kDivide;
      return divide;
    }
  }
}

Form group5(const Insn& insn) {
  if (insn.group() < 2) return plain(insn, byte_or_full(insn), Role::kNone, Role::kBoth);
  if (insn.opcode == 0xfe || insn.operand_size != 8) return {};
  Form form;
  switch (insn.group()) {
    case 2:
      form.family = insn.memory ? Family::kCallMemory : Family::kCallRegister;
      break;
    case 4:
      form.family = insn.memory ? Family::kJumpMemory : Family::kJumpRegister;
      break;
    case 6:
      form.family = insn.memory ? Family::kPushMemory : Family::kPush;
      break;
    default:
      return {};
  }
  form.rm = insn.rm;
  return form;
}

Form shift(const Insn& insn, bool by_cl) {
  Form form = plain(insn, byte_or_full(insn), Role::kNone, Role::kBoth);
  if (form.family == Family::kPlain && by_cl) form.family = Family::kShiftByCl;
  return form;
}

// Between registers that may live in memory it is not what other instructions become.
Form move(Form form) {
  const bool registers = form.family == Family::kPlain && !form.memory;
  if (registers && !form.encoding.bytes && form.encoding.prefix == 0) form.family = Family::kMove;
  return form;
}

Form move_immediate(const Insn& insn) {
  const bool byte = insn.opcode < 0xb8;
  if (byte && high_byte(insn, insn.rm)) return {};
  Form form = family(Family::kMoveImmediate);
  form.size = byte ? 1 : insn.operand_size;
  form.rm = insn.rm;
  form.imm = insn.imm;
  return form;
}

Form exchange_accumulator(const Insn& insn) {
  if (insn.rm == kGuestRax || (insn.opcode == 0x90 && insn.rep == Rep::kRepe))
    return family(Family::kNothing);
  Insn same = insn;
  same.reg = kGuestRax;
  Form form = plain(same, insn.operand_size, Role::kBoth, Role::kBoth);
  form.encoding.opcode = 0x87;
  return form;
}

Form stack(const Insn& insn, Family what) {
  if (insn.operand_size != 8) return {};
  Form form = family(what);
  form.rm = insn.rm;
  form.imm = insn.imm;
  return form;
}

// Its registers are the host's own; RM is one of them or memory.
Form x87(const Insn& insn) {
  const auto known = fpu::x87_form(insn);
  Form form;
  if (!known) return form;
  form.last = known->special != fpu::Special::kNone;  // the masks may have changed
  if (form.last) return form;
  form.family = known->writes_ax ? Family::kStatusWord : Family::kPlain;
  form.x87 = true;
  form.encoding = {.opcode = insn.opcode};
  form.reg = insn.group();
  form.rm = insn.rm & 7;
  form.memory = insn.memory;
  form.writes_memory = known->memory == fpu::MemAccess::kWrite;
  form.size = static_cast<uint8_t>(known->size);
  return form;
}

}  // namespace

Form primary_form(const Insn& insn) {
  const uint8_t op = insn.opcode;
  if (op >= 0xd8 && op <= 0xdf) return x87(insn);
  if (op < 0x40) return alu(insn);
  if (op >= 0x50 && op <= 0x57) return stack(insn, Family::kPush);
  if (op >= 0x58 && op <= 0x5f) return stack(insn, Family::kPop);
  if (op >= 0x70 && op <= 0x7f) return near_branch(insn, Family::kJumpIf);
  if (op >= 0x90 && op <= 0x97) return exchange_accumulator(insn);
  if (op >= 0xb0 && op <= 0xbf) return move_immediate(insn);
  if (op >= 0x80 && op <= 0x83)
    return plain(insn, byte_or_full(insn), Role::kNone,
                 insn.group() == 7 ? Role::kSource : Role::kBoth);
  switch (op) {
    case 0x63: {
      if (insn.operand_size == 2) return {};
      return plain(insn, 4, Role::kTarget, Role::kSource, insn.operand_size);
    }
    case 0x68:
    case 0x6a:
      return stack(insn, Family::kPushImmediate);
    case 0x69:
    case 0x6b:
      return plain(insn, insn.operand_size, Role::kTarget, Role::kSource);
    case 0x84:
    case 0x85:
      return plain(insn, byte_or_full(insn), Role::kSource, Role::kSource);
    case 0x86:
    case 0x87:
      return plain(insn, byte_or_full(insn), Role::kBoth, Role::kBoth);
    case 0x88:
    case 0x89:
      return move(plain(insn, byte_or_full(insn), Role::kSource, Role::kTarget));
    case 0x8a:
    case 0x8b:
      return move(plain(insn, byte_or_full(insn), Role::kTarget, Role::kSource));
    case 0x8d: {
      if (insn.operand_size == 2) return {};
      Form form = plain(insn, insn.operand_size, Role::kTarget, Role::kSource);
      form.family = Family::kLea;
      return form;
    }
    case 0x98:
    case 0x99:
      return family(Family::kConvert);
    case 0xa8:
    case 0xa9:
      return accumulator(insn, 0xf6, 0, Role::kSource);
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
      return shift(insn, false);
    case 0xd2:
    case 0xd3:
      return shift(insn, true);
    case 0xc2:
    case 0xc3:
      return near_branch(insn, Family::kReturn);
    case 0xc6:
    case 0xc7:
      return plain(insn, byte_or_full(insn), Role::kNone, Role::kTarget);
    case 0xc9:
      return stack(insn, Family::kLeave);
    case 0xe8:
      return near_branch(insn, Family::kCall);
    case 0xe9:
    case 0xeb:
      return near_branch(insn, Family::kJump);
    case 0xf5:
    case 0xf8:
    case 0xf9:
      return family(Family::kConvert);
    case 0xfa:
      return family(Family::kDisableInterrupts);
    case 0xf6:
    case 0xf7:
      return group3(insn);
    case 0xfe:
    case 0xff:
      return group5(insn);
    default:
      return {};
  }
}

}  // namespace husk::soft::jit
