#include "backend/soft/jit/operands.h"

#include "backend/soft/jit/registers.h"
#include "contract/x86/vcpu_state.h"

namespace husk::soft::jit {

using decode::Insn;
using decode::kNoRegister;
using decode::OpMap;

namespace {

Access own(const Insn& insn, const Form& form) {
  return {
      .operand = insn.mem, .size = form.size, .write = form.writes_memory, .aligned = form.aligned};
}

Access pointer(const Insn& insn) { return {.operand = insn.mem, .size = 8}; }

Access on_stack(uint8_t base, int32_t offset, bool write) {
  Access access;
  access.extra = offset;
  access.size = 8;
  access.write = write;
  access.operand.base = base;
  access.operand.segment = contract::x86::kSs;
  return access;
}

bool written(Role role) { return role == Role::kTarget || role == Role::kBoth; }

// By how much an instruction with 64-bit operands moves its RM register.
bool moves_by_constant(const Insn& insn, const Form& form, int64_t& delta) {
  if (!form.encoding.wide || form.encoding.map != 0) return false;
  const uint8_t opcode = form.encoding.opcode;
  const bool add = form.reg == 0, subtract = form.reg == 5;
  if ((opcode == 0x81 || opcode == 0x83) && (add || subtract)) {
    delta = add ? insn.imm : -insn.imm;
    return true;
  }
  if (opcode != 0xff || form.reg > 1) return false;  // INC, DEC
  delta = form.reg == 0 ? 1 : -1;
  return true;
}

void plain(const Insn& insn, const Form& form, Assignments& out) {
  const bool reg = written(form.reg_role);
  const bool rm = !form.memory && written(form.rm_role);
  int64_t delta = 0;
  if (rm && form.reg_role == Role::kNone && moves_by_constant(insn, form, delta))
    return out.add({form.rm, form.rm, delta});
  if (reg) out.add({form.reg});
  if (rm && !(reg && form.rm == form.reg)) out.add({form.rm});
  if (written(form.vvvv_role) && !(reg && insn.vvvv == form.reg)) out.add({insn.vvvv});
}

Assignment move(const Form& form) {
  const bool load = form.reg_role == Role::kTarget;
  const uint8_t to = load ? form.reg : form.rm, from = load ? form.rm : form.reg;
  return {to, form.encoding.wide ? from : kNoRegister};
}

Assignment lea(const Insn& insn, const Form& form) {
  const decode::MemoryOperand& mem = insn.mem;
  const bool simple = form.encoding.wide && mem.index == kNoRegister && mem.base < 16;
  if (!simple) return {form.reg};
  return {form.reg, mem.base, mem.displacement};
}

Assignment moved_stack(int64_t bytes) { return {kGuestRsp, kGuestRsp, bytes}; }

void pop(uint8_t into, Assignments& out) {
  if (into != kGuestRsp) out.add(moved_stack(8));
  out.add({into});
}

}  // namespace

Accesses accesses_of(const Insn& insn, const Form& form) {
  switch (form.family) {
    case Family::kPlain:
    case Family::kShiftByCl:
    case Family::kMultiply:
    case Family::kDivide:
    case Family::kCompareExchange:
      if (!form.memory) return {};
      return {{own(insn, form)}, 1};
    case Family::kPush:
    case Family::kPushImmediate:
    case Family::kCall:
    case Family::kCallRegister:
      return {{on_stack(kGuestRsp, -8, true)}, 1};
    case Family::kPushMemory:
    case Family::kCallMemory:
      return {{pointer(insn), on_stack(kGuestRsp, -8, true)}, 2};
    case Family::kPop:
    case Family::kReturn:
      return {{on_stack(kGuestRsp, 0, false)}, 1};
    case Family::kLeave:
      return {{on_stack(kGuestRbp, 0, false)}, 1};
    case Family::kJumpMemory:
      return {{pointer(insn)}, 1};
    default:
      return {};
  }
}

Assignments assignments_of(const Insn& insn, const Form& form) {
  Assignments out;
  switch (form.family) {
    case Family::kPlain:
      plain(insn, form, out);
      break;
    case Family::kMove:
      out.add(move(form));
      break;
    case Family::kMoveImmediate:
      out.add({form.rm});
      break;
    case Family::kLea:
      out.add(lea(insn, form));
      break;
    case Family::kShiftByCl:
      if (!form.memory) out.add({form.rm});
      break;
    case Family::kConvert:
      if (insn.map == OpMap::k0F) out.add({form.rm});  // BSWAP
      if (insn.opcode == 0x98) out.add({kGuestRax});
      if (insn.opcode == 0x99) out.add({kGuestRdx});
      break;
    case Family::kStatusWord:
    case Family::kCompareExchange:
      out.add({kGuestRax});
      break;
    case Family::kMultiply:
    case Family::kDivide:
      out.add({kGuestRax});
      out.add({kGuestRdx});
      break;
    case Family::kPush:
    case Family::kPushImmediate:
    case Family::kPushMemory:
    case Family::kCall:
    case Family::kCallRegister:
    case Family::kCallMemory:
      out.add(moved_stack(-8));
      break;
    case Family::kPop:
      pop(form.rm, out);
      break;
    case Family::kReturn:
      out.add(moved_stack(8 + static_cast<uint16_t>(form.imm)));
      break;
    case Family::kLeave:
      out.add({kGuestRsp, kGuestRbp, 8});
      out.add({kGuestRbp});
      break;
    default:
      break;
  }
  return out;
}

}  // namespace husk::soft::jit
