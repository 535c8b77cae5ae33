// The GICv3 that KVM keeps for a VM (Linux, Documentation/virt/kvm/devices/arm-vgic-v3.rst).
#pragma once

#include <cstdint>
#include <span>

#include "husk/error.h"

#include "base/fd.h"
#include "contract/aarch64/gic_state.h"

namespace husk::kvm {

// Thread-safe, but for start().
class Gic {
 public:
  // Its places in guest-physical space: a redistributor's two frames for each vCPU.
  static constexpr uint64_t kDistributor = 0x0800'0000, kDistributorSize = 0x1'0000;
  static constexpr uint64_t kRedistributors = 0x080a'0000, kRedistributorSize = 0x2'0000;
  static constexpr uint32_t kPrivate = 32;  // interrupts of each vCPU's own, below the first SPI
  static constexpr uint32_t kInterrupts = 128;
  static constexpr uint32_t kSpis = kInterrupts - kPrivate;

  // kUnsupported when the host has none of version 3. Before the VM's first vCPU.
  [[nodiscard]] static Result<Gic> create(int vm);
  // Once the VM has all of its vCPUs, before one runs.
  [[nodiscard]] Result<void> start();

  // A line that the distributor does not have is not connected.
  void set_line(uint32_t spi, bool level) const;

  // While no vCPU runs. `mpidrs` as the vCPUs have them, ascending.
  [[nodiscard]] Result<contract::aarch64::GicState> capture(std::span<const uint64_t> mpidrs) const;
  // Of a VM with the same vCPUs.
  [[nodiscard]] Result<void> restore(const contract::aarch64::GicState& state,
                                     std::span<const uint64_t> mpidrs) const;

 private:
  Gic(int vm, base::Fd device) : vm_(vm), device_(std::move(device)) {}

  int vm_;
  base::Fd device_;
};

}  // namespace husk::kvm
