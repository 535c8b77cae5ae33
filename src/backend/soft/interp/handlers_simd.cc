// x87, MMX, SSE and AVX instructions: what surrounds their execution in the FPU room. An op's `imm`
// points to the compiled instruction.
#include "backend/soft/interp/handlers_simd.h"

#include <array>

#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

using fpu::CompiledInsn;
using fpu::MemAccess;
using fpu::Outcome;
using fpu::UnitKind;

bool no_math_fault(Cpu& cpu, const Op* o, const CompiledInsn& insn) {
  if (!insn.waiting || !fpu::Unit::math_fault_pending(cpu.fpu_state)) [[likely]]
    return true;
  cpu.fault(o, kMf);
  return false;
}

// VEX means nothing in real mode; vectors want the system's consent (Intel SDM vol. 2, tables 2-14
// to 2-29).
bool vex_available(Cpu& cpu, const Op* o, const CompiledInsn& insn) {
  const bool vectors = insn.unit == UnitKind::kAvx;
  if (vectors ? !cpu.avx_enabled() : cpu.real_mode()) {
    cpu.fault(o, kUd);
    return false;
  }
  if (!vectors || (cpu.cr0 & kCr0Ts) == 0) return true;
  cpu.fault(o, kNm);
  return false;
}

// The faults that come before the operands are looked at (Intel SDM vol. 3, tables 2-2 and 13-1).
bool available(Cpu& cpu, const Op* o, const CompiledInsn& insn) {
  if (insn.unit >= UnitKind::kAvx) return vex_available(cpu, o, insn);
  if (insn.unit == UnitKind::kX87) {
    const bool fwait = o->aux == 1;  // FWAIT heeds TS only together with MP
    const uint64_t blocking = fwait ? ((cpu.cr0 & kCr0Mp) != 0 ? kCr0Ts : 0) : kCr0Em | kCr0Ts;
    if ((cpu.cr0 & blocking) == 0) return no_math_fault(cpu, o, insn);
    cpu.fault(o, kNm);
    return false;
  }
  if (insn.unit != UnitKind::kState) {
    const bool no_sse = insn.unit == UnitKind::kSse && (cpu.cr4 & kCr4Osfxsr) == 0;
    if ((cpu.cr0 & kCr0Em) != 0 || no_sse) {
      cpu.fault(o, kUd);
      return false;
    }
  } else if ((cpu.cr0 & kCr0Em) != 0) {
    cpu.fault(o, kNm);
    return false;
  }
  if ((cpu.cr0 & kCr0Ts) == 0) return no_math_fault(cpu, o, insn);
  cpu.fault(o, kNm);
  return false;
}

const Op* report(Cpu& cpu, const Op* o, Outcome outcome) {
  switch (outcome) {
    case Outcome::kSimdFault:
      return cpu.fault(o, (cpu.cr4 & kCr4Osxmmexcpt) != 0 ? kXm : kUd);
    default:
      return cpu.fault(o, kGp, 0);
  }
}

Outcome execute(Cpu& cpu, const CompiledInsn& insn, void* memory) {
  if (!insn.reads_flags && !insn.writes_flags) {
    uint64_t unused = 0;
    return cpu.fpu_unit->execute(insn, cpu.fpu_state, cpu.regs.data(), memory, unused);
  }
  uint64_t flags = status_to_rflags(cpu.status) | 2;
  const Outcome outcome =
      cpu.fpu_unit->execute(insn, cpu.fpu_state, cpu.regs.data(), memory, flags);
  if (outcome == Outcome::kDone && insn.writes_flags) cpu.status = rflags_to_status(flags);
  return outcome;
}

// Without a memory operand.
const Op* simd_r(Cpu& cpu, const Op* o) {
  const CompiledInsn& insn = compiled_of(o);
  if (!available(cpu, o, insn)) [[unlikely]]
    return nullptr;
  const Outcome outcome = execute(cpu, insn, nullptr);
  if (outcome != Outcome::kDone) [[unlikely]]
    return report(cpu, o, outcome);
  return o + 1;
}

const Op* simd_load(Cpu& cpu, const Op* o) {
  const CompiledInsn& insn = compiled_of(o);
  if (!available(cpu, o, insn)) [[unlikely]]
    return nullptr;
  const uint64_t linear = linear_address(cpu, o);
  if (linear % insn.alignment != 0) [[unlikely]]
    return cpu.fault(o, kGp, 0);
  std::byte* host = cpu.tlb.find(cpu.tlb.read, linear, insn.size, cpu.context);
  alignas(64) std::byte bounce[512];
  if (host == nullptr) [[unlikely]] {
    if (!cpu.load_slow(o, linear, bounce, insn.size)) return nullptr;
    host = bounce;
  }
  const Outcome outcome = execute(cpu, insn, host);
  if (outcome != Outcome::kDone) [[unlikely]]
    return report(cpu, o, outcome);
  return o + 1;
}

// An unmasked exception may keep x87 from storing, and then nothing is wrong with an address that
// cannot be written: the operand is looked at last.
const Op* x87_store_unmasked(Cpu& cpu, const Op* o, const CompiledInsn& insn, uint64_t linear) {
  const fpu::FpuState before = cpu.fpu_state;
  std::array<std::byte, 16> bounce{};
  const Outcome outcome = execute(cpu, insn, bounce.data());
  if (outcome != Outcome::kDone) return report(cpu, o, outcome);
  if (fpu::Unit::store_withheld(cpu.fpu_state)) return o + 1;
  if (cpu.store_slow(o, linear, bounce.data(), insn.size)) return o + 1;
  cpu.fpu_state = before;
  return nullptr;
}

const Op* simd_store(Cpu& cpu, const Op* o) {
  const CompiledInsn& insn = compiled_of(o);
  if (!available(cpu, o, insn)) [[unlikely]]
    return nullptr;
  const uint64_t linear = linear_address(cpu, o);
  if (linear % insn.alignment != 0) [[unlikely]]
    return cpu.fault(o, kGp, 0);
  if (std::byte* host = cpu.tlb.find(cpu.tlb.write, linear, insn.size, cpu.context)) [[likely]] {
    const Outcome outcome = execute(cpu, insn, host);
    if (outcome != Outcome::kDone) [[unlikely]]
      return report(cpu, o, outcome);
    return o + 1;
  }
  if (insn.waiting && insn.unit == UnitKind::kX87 && fpu::Unit::unmasked(cpu.fpu_state))
    return x87_store_unmasked(cpu, o, insn, linear);
  // A device may refuse only before the instruction has had an effect, so everything is checked
  // first; what an instruction leaves unwritten keeps its value.
  if (!cpu.probe_write(o, linear, insn.size)) return nullptr;
  alignas(64) std::byte bounce[512] = {};
  const bool partial = insn.masked_store || insn.special == fpu::Special::kFxsave;
  if (partial && !cpu.load_slow(o, linear, bounce, insn.size)) return nullptr;
  const Outcome outcome = execute(cpu, insn, bounce);
  if (outcome != Outcome::kDone) return report(cpu, o, outcome);
  if (!cpu.store_slow(o, linear, bounce, insn.size)) return nullptr;
  return o + 1;
}

}  // namespace

bool simd_available(Cpu& cpu, const Op* o, const CompiledInsn& insn) {
  return available(cpu, o, insn);
}

const Op* simd_execute(Cpu& cpu, const Op* o, const CompiledInsn& insn, void* memory) {
  const Outcome outcome = execute(cpu, insn, memory);
  return outcome == Outcome::kDone ? o + 1 : report(cpu, o, outcome);
}

Handler simd_handler(const CompiledInsn& insn) {
  if (insn.lane != 0) return masked_handler(insn);
  switch (insn.memory) {
    case MemAccess::kRead:
      return simd_load;
    case MemAccess::kWrite:
      return simd_store;
    default:
      return simd_r;
  }
}

}  // namespace husk::soft::interp
