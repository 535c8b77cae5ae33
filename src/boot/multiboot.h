// Multiboot 1 (Multiboot Specification 0.6.96).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "boot/loading.h"

namespace husk::boot {

struct MultibootHeader {
  uint64_t offset = 0;  // in the file
  uint32_t flags = 0;
};

// The header is 4-aligned in the first 8 KiB; its checksum holds.
[[nodiscard]] std::optional<MultibootHeader> find_multiboot(std::span<const std::byte> file);

// Loads by the header's own addresses when it has them, otherwise by the program headers of an ELF
// file of either class. The initrd is the only module.
[[nodiscard]] Result<contract::x86::VcpuState> load_multiboot(Loading& loading,
                                                              const MultibootHeader& header);

}  // namespace husk::boot
