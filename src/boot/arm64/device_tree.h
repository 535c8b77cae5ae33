// The device tree of an aarch64 guest: what Linux cannot find out by asking. Bindings are those of
// Linux's Documentation/devicetree/bindings, addresses those of layout.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "husk/error.h"

#include "boot/arm64/layout.h"
#include "contract/address.h"
#include "memory/guest_memory.h"

namespace husk::boot::arm64 {

// Where the GICv3 is; a backend may have it elsewhere.
struct GicPlace {
  uint64_t distributor = kGicDistributor, distributor_size = kGicDistributorSize;
  uint64_t redistributors = kGicRedistributors;  // one region, a redistributor per vCPU
  uint64_t redistributors_size = kMaxVcpus * kGicRedistributorSize;
};

// The machine as it was built.
struct Machine {
  std::vector<uint64_t> cpus;  // MPIDR_EL1 of each vCPU, the boot vCPU first
  GicPlace gic;
  uint32_t virtio_devices = 0;
  std::vector<std::byte> rng_seed;     // fresh for every start; empty: none
  std::optional<uint64_t> kaslr_seed;  // as above; without it Linux is where it was linked
};

// What changes with every kernel.
struct Chosen {
  std::string command_line;
  Gpa initrd;
  uint64_t initrd_size = 0;  // 0: none
};

// `subject` goes into errors.
[[nodiscard]] Result<std::vector<std::byte>> build_device_tree(const std::string& subject,
                                                               const Machine& machine,
                                                               std::span<const memory::Region> ram,
                                                               const Chosen& chosen);

}  // namespace husk::boot::arm64
