// What all opcode maps share: operands, addresses, LOCK; and the primary map.
#include "backend/soft/interp/lowering.h"

#include <bit>
#include <limits>

#include "backend/soft/interp/cpu.h"

namespace husk::soft::interp {

using decode::CodeSize;
using decode::Insn;
using decode::kNoRegister;
using decode::OpMap;
using decode::Rep;

int Lowering::log2() const { return std::countr_zero(i_.operand_size); }

uint8_t Lowering::slot(uint8_t reg, int log2) const {
  if (log2 == 0 && !i_.rex && reg >= 4 && reg < 8) return static_cast<uint8_t>((reg - 4) * 8 + 1);
  return static_cast<uint8_t>(reg * 8);
}

Op& Lowering::emit(Handler fn) {
  Op& op = out_.add(fn);
  op.offset = offset_;
  op.length = i_.length;
  op.size = i_.operand_size;
  op.base = op.index = kSlotZero * 8;
  op.segment = kSegZero;
  return op;
}

void Lowering::set_memory(Op& op, uint32_t size, bool write, bool effective_only) {
  const decode::MemoryOperand& mem = i_.mem;
  const bool stack = mem.segment == contract::x86::kSs;
  int64_t displacement = mem.displacement;
  const bool rip_relative = mem.base == decode::kRipBase;
  if (rip_relative) displacement += offset_ + i_.length;
  const auto slot_of = [](uint8_t reg) {
    return static_cast<uint8_t>((reg == kNoRegister ? kSlotZero : reg) * 8);
  };
  Op address;
  address.base = rip_relative ? kSlotBlockRip * 8 : slot_of(mem.base);
  address.index = slot_of(mem.index);
  address.scale = mem.scale_log2;
  address.segment = effective_only ? kSegZero : mem.segment;
  const bool fits = displacement == static_cast<int32_t>(displacement);
  if (is64() && i_.address_size == 8 && fits) {
    op.base = address.base;
    op.index = address.index;
    op.scale = address.scale;
    op.segment = address.segment;
    op.disp = static_cast<int32_t>(displacement);
    return;
  }
  // The address op comes first: it takes the place of the op, which moves one back.
  const Op main = op;
  address.fn = address_handler();
  address.offset = offset_;
  address.length = i_.length;
  address.imm = displacement;
  address.aux = i_.address_size;
  address.size = static_cast<uint8_t>(size);
  address.dst = write ? 1 : 0;
  address.src = is64() || effective_only ? 0 : 1;  // check the segment
  op = address;
  Op& moved = out_.add(main.fn);
  moved = main;
  moved.base = kSlotAddress * 8;
  moved.index = kSlotZero * 8;
  moved.scale = 0;
  moved.disp = 0;
  moved.segment = stack ? kSegZeroStack : kSegZero;
}

Op& Lowering::emit_rm(Handler register_form, Handler memory_form, int log2, bool rm_is_dst,
                      bool write) {
  Op& op = emit(i_.memory ? memory_form : register_form);
  const uint8_t reg = slot(i_.reg, log2);
  const uint8_t rm = slot(i_.rm, log2);
  op.imm = i_.imm;
  op.dst = rm_is_dst ? rm : reg;
  op.src = rm_is_dst ? reg : rm;
  if (i_.memory) set_memory(op, 1u << log2, write);
  return op;
}

// Only read-modify-write of memory may be locked (Intel SDM vol. 2, LOCK).
bool Lowering::lock_is_legal() const {
  if (!i_.memory) return false;
  const uint8_t op = i_.opcode;
  if (i_.map == OpMap::kPrimary) {
    if (op < 0x40) return (op & 7) < 2 && (op >> 3) != kCmpRow;
    if (op >= 0x80 && op <= 0x83) return i_.group() != kCmpRow;
    if (op == 0x86 || op == 0x87) return true;
    if (op == 0xf6 || op == 0xf7) return i_.group() == 2 || i_.group() == 3;
    return (op == 0xfe || op == 0xff) && i_.group() < 2;
  }
  if (i_.map != OpMap::k0F) return false;
  if (op == 0xba) return i_.group() >= 5;
  if (op == 0xc7) return i_.group() == 1;
  return op == 0xab || op == 0xb3 || op == 0xbb || op == 0xb0 || op == 0xb1 || op == 0xc0 ||
         op == 0xc1;
}

bool Lowering::undefined() {
  emit(undefined_handler());
  return true;
}

bool Lowering::run() {
  // Among them MOV CR0 with LOCK, AMD's way to CR8, which CPUID does not offer.
  if (i_.lock && !lock_is_legal()) return undefined();
  if (i_.vex) return vex();
  switch (i_.map) {
    case OpMap::kPrimary:
      return primary();
    case OpMap::k0F:
      return map_0f();
    case OpMap::k0F38:
      return map_0f38();
    case OpMap::k0F3A:
      return map_0f3a();
  }
  return undefined();
}

void Lowering::branch_target(Op& op) {
  op.imm = i_.imm + offset_ + i_.length;
  op.size = is64() ? 8 : i_.operand_size;
}

bool Lowering::primary() {
  const uint8_t op = i_.opcode;
  if (op < 0x40 && (op & 7) < 6) return primary_alu();
  if (op >= 0x80 && op <= 0x83) return primary_alu();
  if (op >= 0x70 && op <= 0x7f) return primary_branch();
  if (op >= 0xd8 && op <= 0xdf) return simd();
  switch (op) {
    case 0x84:
    case 0x85:
    case 0xa8:
    case 0xa9:
      return primary_alu();
    case 0xf6:
    case 0xf7:
      return primary_group3();
    case 0xfe:
    case 0xff:
      return primary_group5();
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe8:
    case 0xe9:
    case 0xeb:
    case 0xc2:
    case 0xc3:
    case 0x9a:
    case 0xea:
    case 0xca:
    case 0xcb:
    case 0xcf:
      return primary_branch();
    default:
      break;
  }
  if ((op >= 0x50 && op <= 0x61) || op == 0x68 || op == 0x6a || op == 0x8f || op == 0x9c ||
      op == 0x9d || op == 0xc8 || op == 0xc9 || op == 0x06 || op == 0x07 || op == 0x0e ||
      op == 0x16 || op == 0x17 || op == 0x1e || op == 0x1f)
    return primary_stack();
  return primary_misc();
}

bool Lowering::primary_alu() {
  const uint8_t op = i_.opcode;
  const int size = byte_or_log2();
  if (op >= 0x80 && op <= 0x83) {  // group 1: with an immediate
    const int kind = i_.group();
    emit_rm(alu_handler(kind, Form::kRegImm, size, i_.lock),
            alu_handler(kind, Form::kMemImm, size, i_.lock), size, true, kind != kCmpRow);
    return false;
  }
  const bool test = op >= 0x84;
  const int kind = test ? kTestRow : op >> 3;
  const int form = test ? (op >= 0xa8 ? 4 : 0) : op & 7;
  if (form >= 4) {  // accumulator, immediate
    Op& acc = emit(alu_handler(kind, Form::kRegImm, size, false));
    acc.imm = i_.imm;
    return false;
  }
  const bool to_reg = form >= 2;
  if (to_reg) {
    emit_rm(alu_handler(kind, Form::kRegReg, size, false),
            alu_handler(kind, Form::kRegMem, size, false), size, false, false);
  } else {
    emit_rm(alu_handler(kind, Form::kRegReg, size, i_.lock),
            alu_handler(kind, Form::kMemReg, size, i_.lock), size, true, kind < kCmpRow);
  }
  return false;
}

bool Lowering::primary_stack() {
  const uint8_t op = i_.opcode;
  const int size = log2();
  const auto segment_op = [&](Handler handler, uint8_t segment, bool ends) {
    emit(handler).aux = segment;
    return ends;
  };
  switch (op) {
    case 0x06:
    case 0x0e:
    case 0x16:
    case 0x1e:
      return segment_op(push_handler(3, size), op >> 3, false);
    case 0x07:
    case 0x17:
    case 0x1f:
      return segment_op(pop_handler(3, size), op >> 3, true);
    case 0x60:
      emit(push_handler(5, size));
      return false;
    case 0x61:
      emit(pop_handler(5, size));
      return false;
    case 0x68:
    case 0x6a:
      emit(push_handler(1, size)).imm = i_.imm;
      return false;
    case 0x9c:
      emit(push_handler(4, size));
      return false;
    case 0x9d:
      emit(pop_handler(4, size));
      return true;
    case 0xc8: {
      Op& enter = emit(enter_handler());
      enter.imm = i_.imm;
      enter.aux = static_cast<uint8_t>(i_.imm2);
      return false;
    }
    case 0xc9:
      emit(leave_handler(size));
      return false;
    case 0x8f: {
      if (i_.group() != 0) return undefined();
      Op& pop = emit(pop_handler(i_.memory ? 2 : 0, size));
      pop.dst = slot(i_.rm, size);
      pop.aux = i_.mem.base == contract::x86::kRsp ? 1 : 0;
      if (i_.memory) set_memory(pop, i_.operand_size, true);
      return false;
    }
    default:
      break;
  }
  const bool push = op < 0x58;
  Op& reg = emit(push ? push_handler(0, size) : pop_handler(0, size));
  reg.src = reg.dst = slot(i_.rm, 3);
  return false;
}

bool Lowering::primary_group3() {
  const int size = byte_or_log2();
  const int group = i_.group();
  if (group < 2) {
    emit_rm(alu_handler(kTestRow, Form::kRegImm, size, false),
            alu_handler(kTestRow, Form::kMemImm, size, false), size, true, false);
  } else if (group < 4) {
    emit_rm(unary_handler(group, false, size, false), unary_handler(group, true, size, i_.lock),
            size, true, true);
  } else {
    emit_rm(mul_div_handler(group, false, size), mul_div_handler(group, true, size), size, true,
            false);
  }
  return false;
}

bool Lowering::primary_group5() {
  const int group = i_.group();
  if (group < 2) {
    const int size = byte_or_log2();
    emit_rm(unary_handler(group, false, size, false), unary_handler(group, true, size, i_.lock),
            size, true, true);
    return false;
  }
  if (i_.opcode == 0xfe || group == 7) return undefined();
  const int size = log2();
  switch (group) {
    case 2:
      emit_rm(call_handler(1), call_handler(2), size, false, false);
      return true;
    case 4:
      emit_rm(jump_handler(1), jump_handler(2), size, false, false);
      return true;
    case 6:
      emit_rm(push_handler(0, size), push_handler(2, size), size, false, false);
      return false;
    default:
      break;
  }
  if (!i_.memory) return undefined();
  Op& far = emit(far_handler(group == 3 ? 3 : 2));
  set_memory(far, i_.operand_size + 2u, false);
  return true;
}

bool Lowering::primary_branch() {
  const uint8_t op = i_.opcode;
  if (op >= 0x70 && op <= 0x7f) {
    branch_target(emit(jcc_handler(op & 15)));
    return true;
  }
  switch (op) {
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3: {
      Op& loop = emit(loop_handler(op));
      branch_target(loop);
      loop.aux = op & 3;
      loop.scale = i_.address_size;
      return true;
    }
    case 0xe8:
      branch_target(emit(call_handler(0)));
      return true;
    case 0xe9:
    case 0xeb:
      branch_target(emit(jump_handler(0)));
      return true;
    case 0xc2:
    case 0xc3:
      emit(ret_handler()).imm = op == 0xc2 ? static_cast<uint16_t>(i_.imm) : 0;
      return true;
    case 0x9a:
    case 0xea: {
      Op& far = emit(far_handler(op == 0x9a ? 1 : 0));
      far.imm = i_.imm;
      far.disp = i_.imm2;
      return true;
    }
    case 0xca:
    case 0xcb:
      emit(far_handler(4)).imm = op == 0xca ? static_cast<uint16_t>(i_.imm) : 0;
      return true;
    default:
      emit(far_handler(5));
      return true;
  }
}

}  // namespace husk::soft::interp
