// Instructions of the floating-point and vector units.
#include "backend/soft/interp/cpu.h"
#include "backend/soft/interp/lowering.h"

namespace husk::soft::interp {

bool Lowering::simd() {
  const fpu::CompiledInsn* compiled = fpu_.compile(i_);
  if (compiled == nullptr) return undefined();
  Op& op = emit(simd_handler(*compiled));
  op.imm = static_cast<int64_t>(reinterpret_cast<uintptr_t>(compiled));
  out_.note_of_one_cpu();
  op.aux = i_.map == decode::OpMap::kPrimary && i_.opcode == 0x9b ? 1 : 0;
  if (compiled->gathers) op.aux = static_cast<uint8_t>(i_.address_size | i_.mem.segment << 4);
  if (compiled->masked_store) {  // at DS:RDI, or another segment's
    decode::Insn& insn = const_cast<decode::Insn&>(i_);
    insn.mem = {contract::x86::kRdi, decode::kNoRegister, 0, contract::x86::kDs, 0};
    if (i_.segment_override != decode::kNoRegister) insn.mem.segment = i_.segment_override;
    set_memory(op, compiled->size, true);
  } else if (i_.memory) {
    set_memory(op, compiled->size, compiled->memory == fpu::MemAccess::kWrite);
  }
  return false;
}

bool Lowering::vex() {
  out_.note_of_one_cpu();
  return v3_ ? simd() : undefined();
}

}  // namespace husk::soft::interp
