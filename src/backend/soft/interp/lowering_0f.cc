// The two-byte map, the general-purpose part of 0F38, and what goes to the FPU.
#include "backend/soft/interp/cpu.h"
#include "backend/soft/interp/lowering.h"

namespace husk::soft::interp {

using contract::x86::kFs;
using contract::x86::kGs;
using contract::x86::kSs;
using decode::Rep;

bool Lowering::map_0f() {
  const uint8_t op = i_.opcode;
  const int size = log2();
  if (op >= 0x40 && op <= 0x4f) {
    emit_rm(cmov_handler(op & 15, false, size), cmov_handler(op & 15, true, size), size, false,
            false);
    return false;
  }
  if (op >= 0x80 && op <= 0x8f) {
    branch_target(emit(jcc_handler(op & 15)));
    return true;
  }
  if (op >= 0x90 && op <= 0x9f) {
    emit_rm(setcc_handler(op & 15, false), setcc_handler(op & 15, true), 0, true, true);
    return false;
  }
  if (op >= 0xc8 && op <= 0xcf) {
    emit(bswap_handler(size)).dst = slot(i_.rm, size);
    return false;
  }
  if ((op >= 0x18 && op <= 0x1f) ||
      op == 0x0d) {  // prefetches and the hint NOPs, ENDBR64 among them
    simple(Simple::kNop);
    return false;
  }
  switch (op) {
    case 0xa0:
    case 0xa8:
      emit(push_handler(3, size)).aux = op == 0xa0 ? kFs : kGs;
      return false;
    case 0xa1:
    case 0xa9:
      emit(pop_handler(3, size)).aux = op == 0xa1 ? kFs : kGs;
      return true;
    case 0xae:
      return group_15();
    case 0xb2:
      return far_pointer_load(kSs);
    case 0xb4:
      return far_pointer_load(kFs);
    case 0xb5:
      return far_pointer_load(kGs);
    default:
      break;
  }
  if ((op >= 0xa3 && op <= 0xc1) || op == 0xc3 || op == 0xc7) return map_0f_integer();
  return map_0f_system();
}

bool Lowering::bit_scan(int kind) {
  const int size = log2();
  emit_rm(bit_scan_handler(kind, false, size), bit_scan_handler(kind, true, size), size, false,
          false);
  return false;
}

// Without TZCNT and LZCNT their prefix means nothing. `aux` tells the translator.
bool Lowering::scan_or_count() {
  const bool reversed = (i_.opcode & 1) != 0;
  if (i_.rep != Rep::kRepe) return bit_scan(reversed ? 1 : 0);
  out_.note_of_one_cpu();
  if (!v3_) return bit_scan(reversed ? 1 : 0);
  const int size = log2();
  const int kind = reversed ? 4 : 3;
  Op& op = emit(bit_scan_handler(kind, i_.memory, size));
  op.aux = kCountsZeros;
  op.dst = slot(i_.reg, size);
  op.src = slot(i_.rm, size);
  if (i_.memory) set_memory(op, 1u << size, false);
  return false;
}

bool Lowering::extend(bool sign) {
  const int size = log2();
  const int from = i_.opcode & 1;
  Op& op = emit(from > size ? undefined_handler() : extend_handler(sign, i_.memory, from, size));
  op.dst = slot(i_.reg, 3);
  op.src = slot(i_.rm, from);
  if (i_.memory) set_memory(op, 1u << from, false);
  return false;
}

bool Lowering::compare_exchange_wide() {
  if (i_.group() != 1 || !i_.memory) return undefined();
  const int width = i_.rex_w ? 4 : 3;
  set_memory(emit(cmpxchg_wide_handler(width)), 1u << width, true);
  return false;
}

// Bits, double shifts, exchanges and extensions: rows A to C.
bool Lowering::map_0f_integer() {
  const uint8_t op = i_.opcode;
  const int size = log2();
  const int width = byte_or_log2();
  switch (op) {
    case 0xa3:
      return bit_test(0, false);
    case 0xab:
      return bit_test(1, false);
    case 0xb3:
      return bit_test(2, false);
    case 0xbb:
      return bit_test(3, false);
    case 0xba:
      if (i_.group() < 4) return undefined();
      return bit_test(i_.group() - 4, true);
    case 0xa4:
    case 0xa5:
    case 0xac:
    case 0xad: {
      const bool left = op < 0xa8;
      const bool by_cl = (op & 1) != 0;
      emit_rm(double_shift_handler(left, false, by_cl, size),
              double_shift_handler(left, true, by_cl, size), size, true, true);
      return false;
    }
    case 0xaf:
      emit_rm(imul_handler(false, false, size), imul_handler(true, false, size), size, false,
              false);
      return false;
    case 0xb0:
    case 0xb1:
      emit_rm(cmpxchg_handler(false, width, i_.lock), cmpxchg_handler(true, width, i_.lock), width,
              true, true);
      return false;
    case 0xc0:
    case 0xc1:
      emit_rm(xadd_handler(false, width, i_.lock), xadd_handler(true, width, i_.lock), width, true,
              true);
      return false;
    case 0xb6:
    case 0xb7:
      return extend(false);
    case 0xbe:
    case 0xbf:
      return extend(true);
    case 0xb8:  // POPCNT
      return i_.rep == Rep::kRepe ? bit_scan(2) : undefined();
    case 0xbc:
    case 0xbd:
      return scan_or_count();
    case 0xc3:  // MOVNTI
      if (!i_.memory || i_.operand_prefix || size == 1) return undefined();
      emit_rm(undefined_handler(), mov_handler(Form::kMemReg, size), size, true, true);
      return false;
    case 0xc7:
      return compare_exchange_wide();
    default:
      return map_0f_system();
  }
}

bool Lowering::bit_test(int kind, bool immediate) {
  const int size = log2();
  const Form form = immediate ? (i_.memory ? Form::kMemImm : Form::kRegImm)
                              : (i_.memory ? Form::kMemReg : Form::kRegReg);
  Op& op = emit(bit_test_handler(kind, form, size, i_.lock));
  op.dst = slot(i_.rm, size);
  op.src = slot(i_.reg, size);
  op.imm = i_.imm;
  op.aux = static_cast<uint8_t>(i_.address_size | (i_.memory ? i_.mem.segment << 4 : 0));
  if (i_.memory) set_memory(op, 1u << size, kind != 0);
  return false;
}

bool Lowering::map_0f_system() {
  switch (i_.opcode) {
    case 0x00:
      return group_6();
    case 0x01:
      return group_7();
    case 0x02:
    case 0x03: {
      Op& op = system(System::kLoadRights);
      op.aux = i_.opcode & 1;
      op.dst = slot(i_.reg, 3);
      op.src = slot(i_.rm, 3);
      if (i_.memory) set_memory(op, 2, false);
      return false;
    }
    case 0x05:
      system(System::kSyscall);
      return true;
    case 0x06:
      system(System::kClts);
      return true;
    case 0x07: {
      Op& op = system(System::kSysret);
      op.size = i_.rex_w ? 8 : 4;
      return true;
    }
    case 0x08:
    case 0x09:
      system(System::kCacheControl);
      return false;
    case 0x20:
    case 0x21:
    case 0x22:
    case 0x23: {
      const bool to = i_.opcode >= 0x22;
      const bool debug = (i_.opcode & 1) != 0;
      if (debug && i_.reg >= 8) return undefined();
      Op& op = system(debug ? (to ? System::kMovToDr : System::kMovFromDr)
                            : (to ? System::kMovToCr : System::kMovFromCr));
      op.aux = i_.reg;
      op.dst = op.src = slot(i_.rm, 3);
      return to;
    }
    case 0x30:
      system(System::kWrmsr);
      return true;
    case 0x31:
      simple(Simple::kRdtsc);
      return false;
    case 0x32:
      system(System::kRdmsr);
      return false;
    case 0xa2:
      simple(Simple::kCpuid);
      return false;
    default:
      return simd();
  }
}

bool Lowering::group_6() {
  const int group = i_.group();
  constexpr System kOps[] = {
      System::kStoreWord,         System::kStoreWord, System::kLoadSystemSegment,
      System::kLoadSystemSegment, System::kVerify,    System::kVerify};
  if (group > 5) return undefined();
  Op& op = system(kOps[group]);
  op.aux = group & 1;
  op.dst = op.src = slot(i_.rm, 3);
  if (i_.memory) set_memory(op, 2, group < 2);
  return false;
}

bool Lowering::group_7() {
  if (!i_.memory) return group_7_register();
  const uint32_t table_size = is64() ? 10 : 6;
  switch (i_.group()) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const bool load = i_.group() >= 2;
      Op& op = system(load ? System::kLoadTable : System::kStoreTable);
      op.aux = i_.group() & 1;
      set_memory(op, table_size, !load);
      return load;
    }
    case 4: {
      Op& op = system(System::kStoreWord);
      op.aux = 2;
      set_memory(op, 2, true);
      return false;
    }
    case 6:
      set_memory(system(System::kLmsw), 2, false);
      return true;
    case 7:
      set_memory(system(System::kInvlpg), 1, false);
      return true;
    default:
      return undefined();
  }
}

bool Lowering::group_7_register() {
  const uint8_t modrm = static_cast<uint8_t>(0xc0 | i_.group() << 3 | (i_.rm & 7));
  switch (modrm) {
    case 0xd0:
      return xsave(Xsave::kGetControl);
    case 0xd1:
      return xsave(Xsave::kSetControl);
    case 0xc1:
    case 0xd9:
      system(System::kHypercall);
      return false;
    case 0xca:
      system(System::kClac);
      return false;
    case 0xcb:
      system(System::kStac);
      return false;
    case 0xf8:
      system(System::kSwapgs);
      return false;
    case 0xf9:
      simple(Simple::kRdtsc).aux = 1;
      return false;
    default:
      break;
  }
  if (i_.group() == 4) {
    Op& op = system(System::kStoreWord);
    op.aux = 2;
    op.dst = slot(i_.rm, 3);
    return false;
  }
  if (i_.group() == 6) {
    system(System::kLmsw).src = slot(i_.rm, 3);
    return true;
  }
  return undefined();
}

// FXSAVE and its kin are the FPU's; here are the fences, CLFLUSH and the segment bases.
bool Lowering::group_15() {
  const int group = i_.group();
  if (i_.memory) {
    if (group == 4 || group == 5) return xsave(group == 4 ? Xsave::kSave : Xsave::kRestore);
    if (group != 7 || i_.operand_prefix || i_.rep != Rep::kNone) return simd();
    // CLFLUSH: the access counts as a read.
    set_memory(emit(touch_handler()), 1, false);
    return false;
  }
  if (i_.rep == Rep::kRepe && group < 4) {
    Op& op = system(group < 2 ? System::kReadSegmentBase : System::kWriteSegmentBase);
    op.aux = (group & 1) == 0 ? kFs : kGs;
    op.dst = op.src = slot(i_.rm, 3);
    return false;
  }
  if (i_.rep == Rep::kNone && !i_.operand_prefix && group >= 5) {
    simple(Simple::kFence);
    return false;
  }
  return undefined();
}

// Each of them may change what the code behind it may do with vectors.
bool Lowering::xsave(Xsave what) {
  out_.note_of_one_cpu();
  if (!v3_ || i_.operand_prefix || i_.rep != Rep::kNone) return undefined();
  Op& op = emit(xsave_handler(what));
  if (i_.memory) set_memory(op, kXsaveArea, what == Xsave::kSave);
  return true;
}

bool Lowering::map_0f38() {
  const uint8_t op = i_.opcode;
  const int size = log2();
  if (op == 0xf0 || op == 0xf1) {
    if (i_.rep == Rep::kRepne) {  // CRC32: its operand size is its own
      const int from = op == 0xf0 ? 0 : i_.rex_w ? 3 : i_.operand_prefix ? 1 : 2;
      Op& crc = emit(crc32_handler(i_.memory, from));
      crc.dst = slot(i_.reg, 3);
      crc.src = slot(i_.rm, from);
      if (i_.memory) set_memory(crc, 1u << from, false);
      return false;
    }
    if (!i_.memory) return undefined();
    emit_rm(undefined_handler(), movbe_handler(op == 0xf1, size), size, op == 0xf1, op == 0xf1);
    return false;
  }
  if (op == 0xf6 && (i_.operand_prefix || i_.rep == Rep::kRepe)) {
    const bool overflow = i_.rep == Rep::kRepe;
    const int width = i_.rex_w ? 3 : 2;
    emit_rm(adx_handler(overflow, false, width), adx_handler(overflow, true, width), width, false,
            false);
    return false;
  }
  if (op == 0x82 && i_.operand_prefix && i_.memory) {
    Op& invpcid = system(System::kInvpcid);
    invpcid.dst = slot(i_.reg, 3);
    set_memory(invpcid, 16, false);
    return true;
  }
  return simd();
}

bool Lowering::map_0f3a() { return simd(); }

}  // namespace husk::soft::interp
