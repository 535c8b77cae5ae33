// A vCPU's registers of aarch64 by the seam, as the public API has them.
#pragma once

#include <array>

#include "husk/seam.h"
#include "husk/types.h"

#include "base/try.h"
#include "contract/aarch64/vcpu_state.h"
#include "gdb/aarch64/registers.h"

namespace husk::runtime {

using NativeRegisters = Arm64Registers;
using NativeState = contract::aarch64::VcpuState;
namespace guest_registers = gdb::aarch64;  // as debuggers see them

[[nodiscard]] Arm64Registers public_registers(const contract::aarch64::VcpuState& state);
// kInvalidArgument: FPCR and FPSR have 32 bits.
[[nodiscard]] Result<void> put_registers(const Arm64Registers& registers,
                                         contract::aarch64::VcpuState& state);

// X1 to X6 (Arm DEN0028, SMCCC).
constexpr std::array<seam::CoreReg, 6> kHypercallArguments{
    seam::CoreReg::x(1), seam::CoreReg::x(2), seam::CoreReg::x(3),
    seam::CoreReg::x(4), seam::CoreReg::x(5), seam::CoreReg::x(6)};

// From the whole state: the seam has no single door to SP and the vectors.
template <seam::HypervisorVcpu Vcpu>
Result<Arm64Registers> get_registers(Vcpu& vcpu) {
  return public_registers(HUSK_TRY(vcpu.capture_snapshot()));
}

template <seam::HypervisorVcpu Vcpu>
Result<void> set_registers(Vcpu& vcpu, const Arm64Registers& registers) {
  auto state = HUSK_TRY(vcpu.capture_snapshot());
  HUSK_TRY(put_registers(registers, state));
  state.registers.clear();  // what a state leaves out stays
  return vcpu.restore_snapshot(state);
}

// Where a boot loader leaves a processor: at EL1 with the MMU off, which is how they start.
template <seam::HypervisorVcpu Vcpu>
Result<void> make_flat(Vcpu&) {
  return {};
}

// A snapshot with all but the state itself.
template <seam::HypervisorVcpu Vcpu>
Result<VcpuSnapshot> describe_vcpu(uint32_t id, Vcpu&, const typename Vcpu::SnapshotState& state) {
  return VcpuSnapshot::new_arm64(id, public_registers(state));
}

}  // namespace husk::runtime
