// What handlers of vector instructions share: the faults before an instruction, and its execution
// in the FPU room.
#pragma once

#include "backend/soft/interp/cpu.h"
#include "backend/soft/interp/op.h"

namespace husk::soft::interp {

inline const fpu::CompiledInsn& compiled_of(const Op* o) {
  return *reinterpret_cast<const fpu::CompiledInsn*>(o->imm);
}

// False: a fault that comes before the operands are looked at is raised.
bool simd_available(Cpu& cpu, const Op* o, const fpu::CompiledInsn& insn);

// Executes it with its memory operand, if it has one, at `memory`; the op to go on with.
const Op* simd_execute(Cpu& cpu, const Op* o, const fpu::CompiledInsn& insn, void* memory);

}  // namespace husk::soft::interp
