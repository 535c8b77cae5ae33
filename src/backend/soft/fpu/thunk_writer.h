// Writes thunks: the host code of one instruction with its operands moved into place. Arguments are
// in RDI (the FXSAVE image), RSI (general registers), RDX (memory operand), RCX (flags); only RAX,
// R8 to R11 and XMM0 to XMM4 are used besides.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/soft/decode/insn.h"
#include "backend/soft/fpu/simd_table.h"
#include "backend/soft/fpu/vex_table.h"

namespace husk::soft::fpu {

class ThunkWriter {
 public:
  // An SSE or MMX instruction.
  void simd(const decode::Insn& insn, const SimdForm& form);
  // A VEX-encoded instruction, but for those that CompiledInsn has another way for.
  void vex(const decode::Insn& insn, const VexForm& form);
  // An x87 instruction: its own bytes, with the memory operand at RDX. FCMOVcc reads the guest's
  // flags, FCOMI writes them, FNSTSW AX writes AX.
  void x87(const decode::Insn& insn, bool reads_flags, bool writes_flags, bool writes_ax);

  void wait() {
    bytes({0xc3});
  }  // FWAIT has nothing to do on the host, whose exceptions are masked

  [[nodiscard]] std::span<const uint8_t> code() const { return code_; }

 private:
  void bytes(std::initializer_list<uint8_t> list) { code_.insert(code_.end(), list); }
  void dword(uint32_t value);
  void load_xmm(uint8_t host, uint8_t guest);  // movups host, [rdi + image offset]
  void store_xmm(uint8_t guest, uint8_t host);
  void load_gpr(uint8_t guest, uint8_t size);  // rax <- guest register
  void store_gpr(uint8_t guest, uint8_t size);
  void capture_flags();
  // The instruction itself: operands are register numbers; rm_memory takes [rdx].
  void instruction(const decode::Insn& insn, uint8_t reg, uint8_t rm, bool rm_memory);
  void string_compare(const decode::Insn& insn, bool index);
  // vex_thunk.cc
  void load_vector(uint8_t host, uint8_t guest, bool whole);
  void store_vector(uint8_t guest, uint8_t host);
  void vex_bytes(const decode::Insn& insn, bool wide, uint8_t reg, uint8_t vvvv, uint8_t rm,
                 bool rm_memory);
  void vex_vector(const decode::Insn& insn, const VexForm& form);
  void vex_general(const decode::Insn& insn, const VexForm& form);
  void vex_string(const decode::Insn& insn, const VexForm& form);
  void zero(bool all);

  std::vector<uint8_t> code_;
};

}  // namespace husk::soft::fpu
