#include "backend/soft/jit/form.h"

#include "backend/soft/fpu/x87_table.h"
#include "backend/soft/jit/registers.h"
#include "backend/soft/jit/sse_form.h"

namespace husk::soft::jit {

using decode::Insn;
using decode::OpMap;
using decode::Rep;

namespace {

// AH, CH, DH or BH.
bool high_byte(const Insn& insn, uint8_t reg) { return !insn.rex && reg >= 4 && reg < 8; }

Form family(Family what) {
  Form form;
  form.family = what;
  return form;
}

// `size` is that of the operands; `reg_size` where the register operand's differs.
Form plain(const Insn& insn, uint8_t size, Role reg, Role rm, uint8_t reg_size = 0) {
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

Form near_branch(const Insn& insn, Family what) {
  if (insn.operand_size != 8) return {};
  Form form = family(what);
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

Form primary(const Insn& insn) {
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

Form compare_exchange(const Insn& insn) {
  Form form = plain(insn, byte_or_full(insn), Role::kSource, Role::kBoth);
  const bool simple = insn.memory && !in_memory(insn.reg);
  if (form.family == Family::kPlain)
    form.family = simple ? Family::kCompareExchange : Family::kInterpreted;
  return form;
}

Form two_byte(const Insn& insn) {
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
    case 0xbd:  // with an operand of zero the target keeps its value
      return plain(insn, insn.operand_size, Role::kBoth, Role::kSource);
    case 0xc3:
      return plain(insn, insn.operand_size, Role::kSource, Role::kTarget);
    default:
      return sse_form(insn);
  }
}

Form in_map(const Insn& insn) {
  switch (insn.map) {
    case OpMap::kPrimary:
      return primary(insn);
    case OpMap::k0F:
      return two_byte(insn);
    default:
      return insn.opcode >= 0xf0 ? Form{} : sse_form(insn);
  }
}

}  // namespace

Form form_of(const Insn& insn) {
  const bool addresses = !insn.memory || insn.address_size == 8;
  const bool offset = insn.map == OpMap::kPrimary && insn.opcode >= 0xa0 && insn.opcode <= 0xa3;
  const Form form = in_map(insn);
  if (addresses && !offset) return form;
  Form interpreted;
  interpreted.last = form.last;
  return interpreted;
}

}  // namespace husk::soft::jit
