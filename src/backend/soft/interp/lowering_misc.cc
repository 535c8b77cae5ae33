// The rest of the primary map: moves, shifts, strings, ports and the instructions without a family.
#include "backend/soft/interp/cpu.h"
#include "backend/soft/interp/lowering.h"

namespace husk::soft::interp {

using contract::x86::kCs;
using decode::Rep;

namespace {

bool is_string(uint8_t op) {
  return (op >= 0xa4 && op <= 0xa7) || (op >= 0xaa && op <= 0xaf) || (op >= 0x6c && op <= 0x6f);
}

// Opcodes that are Simple without operands.
bool simple_of(uint8_t op, Simple& what) {
  switch (op) {
    case 0x27:
      what = Simple::kDaa;
      return true;
    case 0x2f:
      what = Simple::kDas;
      return true;
    case 0x37:
      what = Simple::kAaa;
      return true;
    case 0x3f:
      what = Simple::kAas;
      return true;
    case 0x9b:
      what = Simple::kNop;
      return true;
    case 0x9e:
      what = Simple::kSahf;
      return true;
    case 0x9f:
      what = Simple::kLahf;
      return true;
    case 0xd4:
      what = Simple::kAam;
      return true;
    case 0xd5:
      what = Simple::kAad;
      return true;
    case 0xd6:
      what = Simple::kSalc;
      return true;
    case 0xf5:
      what = Simple::kCmc;
      return true;
    case 0xf8:
      what = Simple::kClc;
      return true;
    case 0xf9:
      what = Simple::kStc;
      return true;
    case 0xfa:
      what = Simple::kCli;
      return true;
    case 0xfc:
      what = Simple::kCld;
      return true;
    case 0xfd:
      what = Simple::kStd;
      return true;
    default:
      return false;
  }
}

}  // namespace

uint8_t Lowering::data_segment() const {
  return i_.segment_override == decode::kNoRegister ? uint8_t{contract::x86::kDs}
                                                    : i_.segment_override;
}

bool Lowering::string() {
  const int size = byte_or_log2();
  Op& op = emit(string_handler(i_.opcode, size));
  op.size = static_cast<uint8_t>(1u << size);
  op.aux = i_.rep == Rep::kRepne ? 2 : i_.rep == Rep::kRepe ? 1 : 0;
  op.scale = i_.address_size;
  op.segment = data_segment();
  return false;
}

bool Lowering::bound() {
  if (is64() || !i_.memory) return undefined();
  Op& op = simple(Simple::kBound);
  op.dst = slot(i_.reg, 3);
  set_memory(op, i_.operand_size * 2u, false);
  return false;
}

bool Lowering::arpl() {
  Op& op = system(System::kArpl);
  op.dst = slot(i_.rm, 3);
  op.src = slot(i_.reg, 3);
  if (i_.memory) set_memory(op, 2, true);
  return false;
}

bool Lowering::movsxd() {
  if (!is64()) return arpl();
  if (log2() == 1) {
    emit_rm(mov_handler(Form::kRegReg, 1), mov_handler(Form::kRegMem, 1), 1, false, false);
    return false;
  }
  Op& extend = emit(extend_handler(true, i_.memory, 2, log2()));
  extend.dst = slot(i_.reg, 3);
  extend.src = slot(i_.rm, 2);
  if (i_.memory) set_memory(extend, 4, false);
  return false;
}

bool Lowering::segment_move() {
  const bool load = i_.opcode == 0x8e;
  if (i_.group() > 5 || (load && i_.group() == kCs)) return undefined();
  Op& move = emit(segment_move_handler((load ? 0 : 2) + (i_.memory ? 1 : 0)));
  move.aux = i_.group();
  move.dst = move.src = slot(i_.rm, 3);
  if (i_.memory) set_memory(move, 2, !load);
  return load;
}

bool Lowering::far_pointer_load(uint8_t segment) {
  if (!i_.memory) return undefined();
  Op& load = emit(segment_move_handler(4));
  load.dst = slot(i_.reg, 3);
  load.aux = segment;
  set_memory(load, i_.operand_size + 2u, false);
  return true;
}

bool Lowering::lea() {
  if (!i_.memory) return undefined();
  Op& op = emit(lea_handler(log2()));
  op.dst = slot(i_.reg, 3);
  set_memory(op, 1, false, true);
  return false;
}

bool Lowering::nop_or_exchange() {
  if (i_.rm != 8 || i_.rep == Rep::kRepe) {  // F3 makes it PAUSE, REX.B or not
    simple(Simple::kNop);
    return false;
  }
  emit(xchg_handler(false, log2())).src = slot(8, 3);
  return false;
}

bool Lowering::move_offset() {
  const int size = byte_or_log2();
  const bool store = i_.opcode >= 0xa2;
  Op& mov = emit(mov_handler(store ? Form::kMemReg : Form::kRegMem, size));
  set_memory(mov, 1u << size, store);
  return false;
}

bool Lowering::shift_group() {
  const int size = byte_or_log2();
  const bool by_cl = i_.opcode >= 0xd2;
  Op& shift = emit(shift_handler(i_.group(), i_.memory, by_cl, size));
  shift.dst = slot(i_.rm, size);
  shift.imm = i_.opcode >= 0xd0 ? 1 : i_.imm;
  if (i_.memory) set_memory(shift, 1u << size, true);
  return false;
}

bool Lowering::port_access() {
  const uint8_t op = i_.opcode;
  Op& io = simple((op & 2) == 0 ? Simple::kIn : Simple::kOut);
  io.size = (op & 1) == 0 ? 1 : i_.operand_size == 2 ? 2 : 4;
  io.aux = op < 0xe8 ? 1 : 0;
  io.imm = i_.imm;
  return false;
}

// MOV, XCHG, IMUL and the other two-operand instructions of rows 6 to C.
bool Lowering::primary_moves() {
  const int size = byte_or_log2();
  switch (i_.opcode) {
    case 0x69:
    case 0x6b:
      emit_rm(imul_handler(false, true, log2()), imul_handler(true, true, log2()), log2(), false,
              false);
      return false;
    case 0x86:
    case 0x87:
      emit_rm(xchg_handler(false, size), xchg_handler(true, size), size, true, true);
      return false;
    case 0x88:
    case 0x89:
      emit_rm(mov_handler(Form::kRegReg, size), mov_handler(Form::kMemReg, size), size, true, true);
      return false;
    case 0x8a:
    case 0x8b:
      emit_rm(mov_handler(Form::kRegReg, size), mov_handler(Form::kRegMem, size), size, false,
              false);
      return false;
    case 0xc6:
    case 0xc7:
      if (i_.group() != 0) return undefined();
      emit_rm(mov_handler(Form::kRegImm, size), mov_handler(Form::kMemImm, size), size, true, true);
      return false;
    default:
      return undefined();
  }
}

// Opcodes that hold a register's number.
bool Lowering::register_in_opcode() {
  const uint8_t op = i_.opcode;
  if (op < 0x50) {  // INC and DEC, 16- and 32-bit code
    emit(unary_handler(op >= 0x48 ? 1 : 0, false, log2(), false)).dst = slot(i_.rm, log2());
    return false;
  }
  if (op < 0xa0) {
    Op& exchange = emit(xchg_handler(false, log2()));
    exchange.dst = 0;
    exchange.src = slot(i_.rm, log2());
    return false;
  }
  const int width = op < 0xb8 ? 0 : log2();
  Op& mov = emit(mov_handler(Form::kRegImm, width));
  mov.dst = slot(i_.rm, width);
  mov.imm = i_.imm;
  return false;
}

bool Lowering::ends_block(Simple what) {
  simple(what).imm = i_.imm;
  return true;
}

bool Lowering::primary_misc() {
  const uint8_t op = i_.opcode;
  Simple what{};
  if (op == 0x9b) return simd();  // FWAIT
  if (simple_of(op, what)) {
    simple(what).imm = i_.imm;
    return false;
  }
  if (is_string(op)) return string();
  const bool holds_register =
      (op >= 0x40 && op <= 0x4f) || (op >= 0x91 && op <= 0x97) || (op >= 0xb0 && op <= 0xbf);
  if (holds_register) return register_in_opcode();
  if (op >= 0xa0 && op <= 0xa3) return move_offset();
  if ((op & 0xfe) == 0xc0 || (op & 0xfc) == 0xd0) return shift_group();
  if ((op & 0xf4) == 0xe4) return port_access();
  switch (op) {
    case 0x62:
      return bound();
    case 0x63:
      return movsxd();
    case 0x8c:
    case 0x8e:
      return segment_move();
    case 0x8d:
      return lea();
    case 0x90:
      return nop_or_exchange();
    case 0x98:
    case 0x99:
      emit(convert_handler(op == 0x99, log2()));
      return false;
    case 0xc4:
      return far_pointer_load(contract::x86::kEs);
    case 0xc5:
      return far_pointer_load(contract::x86::kDs);
    case 0xcc:
      return ends_block(Simple::kInt3);
    case 0xcd:
      return ends_block(Simple::kIntN);
    case 0xce:
      return ends_block(Simple::kInto);
    case 0xd7: {
      Op& xlat = simple(Simple::kXlat);
      xlat.scale = i_.address_size;
      xlat.segment = data_segment();
      return false;
    }
    case 0xf1:
      return ends_block(Simple::kInt1);
    case 0xf4:
      return ends_block(Simple::kHlt);
    case 0xfb:
      return ends_block(Simple::kSti);
    default:
      return primary_moves();
  }
}

}  // namespace husk::soft::interp
