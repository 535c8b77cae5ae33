// Where things are in an aarch64 guest's physical space.
//
//   0x0800'0000  GIC distributor
//   0x080a'0000  GIC redistributors, two 64 KiB frames each, as many as vCPUs
//   0x0900'0000  PL011, SPI 1
//   0x0a00'0000  virtio-mmio, one page each, SPIs from 16
//   0x4000'0000  RAM: the device tree in the first 2 MiB,
//   0x4020'0000       the kernel (plus its text_offset), then the initrd
//
// Nothing but the kernel's own needs lies above it, so that one which cannot use what is below its
// image (Linux before 4.6) loses two megabytes only. Linux before 4.2 would want the tree above its
// start (Documentation/arch/arm64/booting.rst, 2) and is not served.
#pragma once

#include <cstdint>
#include <vector>

#include "memory/guest_memory.h"

namespace husk::boot::arm64 {

constexpr uint64_t kGicDistributor = 0x0800'0000, kGicDistributorSize = 0x1'0000;
constexpr uint64_t kGicRedistributors = 0x080a'0000, kGicRedistributorSize = 0x2'0000;
constexpr uint64_t kSerial = 0x0900'0000, kSerialSize = 0x1000;
constexpr uint32_t kSerialSpi = 1;
constexpr uint64_t kVirtio = 0x0a00'0000, kVirtioStride = 0x1000;
constexpr uint32_t kVirtioFirstSpi = 16;
constexpr uint64_t kRam = 0x4000'0000;
constexpr uint64_t kDeviceTree = kRam;
constexpr uint64_t kKernelAlignment = 0x20'0000;
constexpr uint64_t kKernelBase = kRam + kKernelAlignment;

constexpr uint32_t kMaxVcpus = 64;
constexpr uint32_t kMaxVirtioDevices = 64;
static_assert(kGicRedistributors + kMaxVcpus * kGicRedistributorSize <= kSerial);

// RAM regions for `bytes` of memory (a multiple of 4 KiB).
[[nodiscard]] inline std::vector<memory::RegionSpec> ram_layout(uint64_t bytes) {
  return {{Gpa{kRam}, bytes}};
}

// The MPIDR affinity that KVM gives its vCPU number `index` (Linux, arch/arm64/kvm/sys_regs.c,
// reset_mpidr): sixteen to a cluster, as many as one SGI of a GICv3 can name.
[[nodiscard]] constexpr uint64_t vcpu_affinity(uint32_t index) {
  return (index & 0xf) | (uint64_t{index} >> 4 & 0xff) << 8 | (uint64_t{index} >> 12 & 0xff) << 16;
}

}  // namespace husk::boot::arm64
