// A device access of the guest's to guest-physical space, as KVM tells it and wants it answered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "husk/seam.h"

#include "backend/kvm/common/kvm_api.h"

namespace husk::kvm {

// Of a KVM_EXIT_MMIO.
[[nodiscard]] inline seam::VcpuExit mmio_exit(const kvm_run& run) {
  seam::VcpuExit exit;
  exit.kind = seam::VcpuExit::Kind::kMmio;
  exit.phys_addr = run.mmio.phys_addr;
  exit.size = static_cast<uint8_t>(std::min<uint32_t>(run.mmio.len, sizeof(exit.data)));
  exit.write = run.mmio.is_write != 0;
  if (exit.write) std::memcpy(&exit.data, run.mmio.data, exit.size);
  return exit;
}

// What the next KVM_RUN takes for the value that was read.
inline void answer_mmio(kvm_run& run, uint64_t value) {
  std::memcpy(run.mmio.data, &value, sizeof(run.mmio.data));
}

}  // namespace husk::kvm
