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

bool Lowering::primary_misc() {
  const uint8_t op = i_.opcode;
  const int size = byte_or_log2();
  Simple what{};
  if (op == 0x9b) return simd();  // FWAIT
  if (simple_of(op, what)) {
    simple(what).imm = i_.imm;
    return false;
  }
  if (is_string(op)) {
    Op& string = emit(string_handler(op, size));
    string.size = static_cast<uint8_t>(1u << size);
    string.aux = i_.rep == Rep::kRepne ? 2 : i_.rep == Rep::kRepe ? 1 : 0;
    string.scale = i_.address_size;
    string.segment = i_.segment_override == decode::kNoRegister ? uint8_t{contract::x86::kDs}
                                                                : i_.segment_override;
    return false;
  }
  if (op >= 0x40 && op <= 0x4f) {  // INC and DEC of a register, 16- and 32-bit code
    emit(unary_handler(op >= 0x48 ? 1 : 0, false, log2(), false)).dst = slot(i_.rm, log2());
    return false;
  }
  if (op >= 0x91 && op <= 0x97) {
    Op& exchange = emit(xchg_handler(false, log2()));
    exchange.dst = 0;
    exchange.src = slot(i_.rm, log2());
    return false;
  }
  if (op >= 0xb0 && op <= 0xbf) {
    const int width = op < 0xb8 ? 0 : log2();
    Op& mov = emit(mov_handler(Form::kRegImm, width));
    mov.dst = slot(i_.rm, width);
    mov.imm = i_.imm;
    return false;
  }
  switch (op) {
    case 0x62:
    case 0x63:
      if (op == 0x62 || !is64()) return undefined();  // BOUND, ARPL: left out
      if (log2() == 1) {
        emit_rm(mov_handler(Form::kRegReg, 1), mov_handler(Form::kRegMem, 1), 1, false, false);
        return false;
      } else {
        Op& extend = emit(extend_handler(true, i_.memory, 2, log2()));
        extend.dst = slot(i_.reg, 3);
        extend.src = slot(i_.rm, 2);
        if (i_.memory) set_memory(extend, 4, false);
        return false;
      }
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
    case 0x8c:
    case 0x8e: {
      const bool load = op == 0x8e;
      if (i_.group() > 5 || (load && i_.group() == kCs)) return undefined();
      Op& move = emit(segment_move_handler((load ? 0 : 2) + (i_.memory ? 1 : 0)));
      move.aux = i_.group();
      move.dst = move.src = slot(i_.rm, 3);
      if (i_.memory) set_memory(move, 2, !load);
      return load;
    }
    case 0x8d: {
      if (!i_.memory) return undefined();
      Op& lea = emit(lea_handler(log2()));
      lea.dst = slot(i_.reg, 3);
      set_memory(lea, 1, false, true);
      return false;
    }
    case 0x90:
      if (i_.rm == 8 && i_.rep != Rep::kRepe) {  // REX.B: XCHG R8, RAX; with F3 still PAUSE
        Op& exchange = emit(xchg_handler(false, log2()));
        exchange.src = slot(8, 3);
        return false;
      }
      simple(Simple::kNop);
      return false;
    case 0x98:
      emit(convert_handler(false, log2()));
      return false;
    case 0x99:
      emit(convert_handler(true, log2()));
      return false;
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0xa3: {
      const bool store = op >= 0xa2;
      Op& mov = emit(mov_handler(store ? Form::kMemReg : Form::kRegMem, size));
      set_memory(mov, 1u << size, store);
      return false;
    }
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: {
      const bool by_cl = op >= 0xd2;
      const int kind = i_.group();
      Op& first = emit(shift_handler(kind, i_.memory, by_cl, size));
      first.dst = slot(i_.rm, size);
      first.imm = op >= 0xd0 ? 1 : i_.imm;
      if (i_.memory) set_memory(first, 1u << size, true);
      return false;
    }
    case 0xc4:
    case 0xc5: {
      if (!i_.memory) return undefined();
      Op& load = emit(segment_move_handler(4));
      load.dst = slot(i_.reg, 3);
      load.aux = op == 0xc4 ? contract::x86::kEs : contract::x86::kDs;
      set_memory(load, i_.operand_size + 2u, false);
      return true;
    }
    case 0xc6:
    case 0xc7:
      if (i_.group() != 0) return undefined();
      emit_rm(mov_handler(Form::kRegImm, size), mov_handler(Form::kMemImm, size), size, true, true);
      return false;
    case 0xcc:
      simple(Simple::kInt3);
      return true;
    case 0xcd:
      simple(Simple::kIntN).imm = i_.imm;
      return true;
    case 0xce:
      simple(Simple::kInto);
      return true;
    case 0xd7: {
      Op& xlat = simple(Simple::kXlat);
      xlat.scale = i_.address_size;
      xlat.segment = i_.segment_override == decode::kNoRegister ? uint8_t{contract::x86::kDs}
                                                                : i_.segment_override;
      return false;
    }
    case 0xe4:
    case 0xe5:
    case 0xe6:
    case 0xe7:
    case 0xec:
    case 0xed:
    case 0xee:
    case 0xef: {
      Op& io = simple((op & 2) == 0 ? Simple::kIn : Simple::kOut);
      io.size = (op & 1) == 0 ? 1 : i_.operand_size == 2 ? 2 : 4;
      io.aux = op < 0xe8 ? 1 : 0;
      io.imm = i_.imm;
      return false;
    }
    case 0xf1:
      simple(Simple::kInt1);
      return true;
    case 0xf4:
      simple(Simple::kHlt);
      return true;
    case 0xfb:
      simple(Simple::kSti);
      return true;
    default:
      return undefined();
  }
}

}  // namespace husk::soft::interp
