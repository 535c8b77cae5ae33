// A vCPU's registers of aarch64 by the seam, as the public API has them.
#pragma once

#include <array>

#include "husk/seam.h"
#include "husk/types.h"

#include "contract/aarch64/vcpu_state.h"

namespace husk::runtime {

// machine::Vcpu speaks of x86-64's registers only; an aarch64 vCPU's are in its snapshot.
[[nodiscard]] std::unexpected<Error> no_such_registers();

// X1 to X6 (Arm DEN0028, SMCCC).
constexpr std::array<seam::CoreReg, 6> kHypercallArguments{
    seam::CoreReg::x(1), seam::CoreReg::x(2), seam::CoreReg::x(3),
    seam::CoreReg::x(4), seam::CoreReg::x(5), seam::CoreReg::x(6)};

template <seam::HypervisorVcpu Vcpu>
Result<Registers> get_registers(Vcpu&) {
  return no_such_registers();
}

template <seam::HypervisorVcpu Vcpu>
Result<void> set_registers(Vcpu&, const Registers&) {
  return no_such_registers();
}

// Where a boot loader leaves a processor: at EL1 with the MMU off, which is how they start.
template <seam::HypervisorVcpu Vcpu>
Result<void> make_flat(Vcpu&) {
  return {};
}

[[nodiscard]] Arm64Registers public_registers(const contract::aarch64::VcpuState& state);

// A snapshot with all but the state itself.
template <seam::HypervisorVcpu Vcpu>
Result<VcpuSnapshot> describe_vcpu(uint32_t id, Vcpu&, const typename Vcpu::SnapshotState& state) {
  return VcpuSnapshot::new_arm64(id, public_registers(state));
}

}  // namespace husk::runtime
