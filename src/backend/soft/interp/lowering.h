// From a decoded instruction to the op (or two) that execute it: the one place that knows which
// handler means what.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "backend/soft/decode/insn.h"
#include "backend/soft/fpu/fpu.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/op.h"

namespace husk::soft::interp {

// The ops of a block while it is being built.
class OpList {
 public:
  static constexpr uint32_t kMax = 128;

  Op& add(Handler fn) {
    Op& op = ops_[count_++];
    op = {};
    op.fn = fn;
    return op;
  }
  [[nodiscard]] uint32_t size() const { return count_; }
  [[nodiscard]] std::span<const Op> all() const { return std::span(ops_).first(count_); }
  void clear() {
    count_ = 0;
    of_one_cpu_ = false;
  }
  // Some op points to something of the CPU that it was made for.
  void note_of_one_cpu() { of_one_cpu_ = true; }
  [[nodiscard]] bool of_one_cpu() const { return of_one_cpu_; }

 private:
  std::array<Op, kMax + 4> ops_;
  uint32_t count_ = 0;
  bool of_one_cpu_ = false;
};

class Lowering {
 public:
  // `v3`: the guest has what x86-64-v3 adds. Without, it is undefined, or has its older meaning.
  Lowering(const decode::Insn& insn, decode::CodeSize mode, uint16_t offset, bool v3,
           fpu::Unit& fpu, OpList& out)
      : i_(insn), mode_(mode), offset_(offset), v3_(v3), fpu_(fpu), out_(out) {}

  // Appends the instruction's ops. True: the block ends behind it.
  bool run();

 private:
  // One per opcode map; each returns whether the block ends.
  bool primary();
  bool primary_alu();
  bool primary_stack();
  bool primary_group3();
  bool primary_group5();
  bool primary_branch();
  bool primary_misc();
  bool primary_moves();
  bool map_0f();
  bool map_0f_integer();
  bool map_0f_system();
  bool group_6();
  bool group_7();
  bool group_7_register();
  bool group_15();
  bool map_0f38();
  bool map_0f3a();
  // Families and single instructions, likewise.
  bool string();
  bool bound();
  bool arpl();
  bool movsxd();
  bool segment_move();
  bool far_pointer_load(uint8_t segment);
  bool lea();
  bool nop_or_exchange();
  bool move_offset();
  bool shift_group();
  bool port_access();
  bool register_in_opcode();
  bool bit_test(int kind, bool immediate);
  bool bit_scan(int kind);
  bool scan_or_count();
  bool xsave(Xsave what);
  bool extend(bool sign);
  bool compare_exchange_wide();
  bool ends_block(Simple what);
  bool simd();
  bool vex();
  bool undefined();

  [[nodiscard]] bool lock_is_legal() const;
  [[nodiscard]] bool is64() const { return mode_ == decode::CodeSize::k64; }
  [[nodiscard]] int log2() const;  // of the operand size
  [[nodiscard]] int byte_or_log2() const { return (i_.opcode & 1) == 0 ? 0 : log2(); }

  // Byte offsets of registers in Cpu::regs; byte registers 4..7 without REX are AH CH DH BH.
  [[nodiscard]] uint8_t slot(uint8_t reg, int log2) const;

  // Of string instructions and XLAT.
  [[nodiscard]] uint8_t data_segment() const;

  Op& emit(Handler fn);
  // An op on the ModRM operand: register form (dst or src = rm) or memory form.
  Op& emit_rm(Handler register_form, Handler memory_form, int log2, bool rm_is_dst, bool write);
  Op& simple(Simple what) { return emit(simple_handler(what)); }
  Op& system(System what) { return emit(system_handler(what, i_.memory)); }
  // Gives `op` the instruction's memory operand; inserts the address op where the fast form cannot
  // express it. `size` bytes are accessed there, for writing if `write`.
  void set_memory(Op& op, uint32_t size, bool write, bool effective_only = false);
  void branch_target(Op& op);

  const decode::Insn& i_;
  decode::CodeSize mode_;
  uint16_t offset_;
  bool v3_;
  fpu::Unit& fpu_;
  OpList& out_;
};

}  // namespace husk::soft::interp
