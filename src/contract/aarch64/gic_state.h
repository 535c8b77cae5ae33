// The canonical form of a GICv3's state (Arm IHI 0069): every register that a guest can see of the
// distributor, of each vCPU's redistributor and of each vCPU's CPU interface. Plain values.
//
// A register is named by a group and an attribute within it, as Linux's KVM names the registers of
// its vGIC (Documentation/virt/kvm/devices/arm-vgic-v3.rst). What belongs to a vCPU is kept under
// its MPIDR, so that it finds its way whatever the vCPUs' order.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace husk::contract::aarch64 {

struct GicRegister {
  uint32_t group = 0;
  uint64_t attr = 0;
  uint64_t value = 0;

  bool operator==(const GicRegister&) const = default;
  // A list of registers ascends by this.
  [[nodiscard]] std::strong_ordering order(const GicRegister& other) const {
    const auto groups = group <=> other.group;
    return groups != 0 ? groups : attr <=> other.attr;
  }
};

struct GicVcpuState {
  uint64_t mpidr = 0;
  std::vector<GicRegister> redistributor;
  std::vector<GicRegister> cpu_interface;

  bool operator==(const GicVcpuState&) const = default;
};

struct GicState {
  std::vector<GicRegister> distributor;
  std::vector<GicVcpuState> vcpus;  // ascending by MPIDR, each once

  bool operator==(const GicState&) const = default;
};

// A list's greatest length: a distributor with all 1020 interrupts has some 2,700 registers.
constexpr size_t kMaxGicRegisters = 4096;
constexpr size_t kMaxGicVcpus = 512;

}  // namespace husk::contract::aarch64
