// A vCPU's registers of x86-64 by the seam, as the public API has them.
#pragma once

#include <array>

#include "husk/seam.h"
#include "husk/types.h"

#include "contract/x86/flat_state.h"
#include "gdb/x86_64/registers.h"

namespace husk::runtime {

using NativeRegisters = Registers;
using NativeState = contract::x86::VcpuState;
namespace guest_registers = gdb::x86_64;  // as debuggers see them

// The general registers by the seam's numbers: x0 to x15 in the order of their encodings.
[[nodiscard]] std::array<uint64_t Registers::*, 16> registers_by_encoding();

// RBX RCX RDX RSI RDI RBP: KVM's hypercalls use the first four (Linux,
// Documentation/virt/kvm/x86/hypercalls.rst), the others are Linux's own convention for more.
constexpr std::array<seam::CoreReg, 6> kHypercallArguments{
    seam::CoreReg::x(3), seam::CoreReg::x(1), seam::CoreReg::x(2),
    seam::CoreReg::x(6), seam::CoreReg::x(7), seam::CoreReg::x(5)};

template <seam::HypervisorVcpu Vcpu>
Result<Registers> get_registers(Vcpu& vcpu) {
  Registers registers;
  for (uint8_t n = 0; const auto member : registers_by_encoding()) {
    const auto value = vcpu.get_core(seam::CoreReg::x(n++));
    if (!value) return std::unexpected(value.error());
    registers.*member = *value;
  }
  const auto rip = vcpu.get_core(seam::CoreReg::pc());
  if (!rip) return std::unexpected(rip.error());
  const auto rflags = vcpu.get_core(seam::CoreReg::cpsr());
  if (!rflags) return std::unexpected(rflags.error());
  registers.rip = *rip;
  registers.rflags = *rflags;
  return registers;
}

template <seam::HypervisorVcpu Vcpu>
Result<void> set_registers(Vcpu& vcpu, const Registers& registers) {
  for (uint8_t n = 0; const auto member : registers_by_encoding()) {
    auto set = vcpu.set_core(seam::CoreReg::x(n++), registers.*member);
    if (!set) return set;
  }
  auto set = vcpu.set_core(seam::CoreReg::pc(), registers.rip);
  if (!set) return set;
  return vcpu.set_core(seam::CoreReg::cpsr(), registers.rflags);
}

// Where a boot loader leaves a processor: 32-bit protected mode, flat segments, no paging.
template <seam::HypervisorVcpu Vcpu>
Result<void> make_flat(Vcpu& vcpu) {
  return vcpu.restore_snapshot(contract::x86::flat_state(contract::x86::CodeSize::k32));
}

// A snapshot with all but the state itself.
template <seam::HypervisorVcpu Vcpu>
Result<VcpuSnapshot> describe_vcpu(uint32_t id, Vcpu& vcpu, const typename Vcpu::SnapshotState&) {
  const auto general = get_registers(vcpu);
  if (!general) return std::unexpected(general.error());
  return VcpuSnapshot::new_x86(id, *general);
}

}  // namespace husk::runtime
