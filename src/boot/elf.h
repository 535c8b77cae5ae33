// ELF kernels: 64-bit ones by PVH (when they carry its note) or by the 64-bit boot protocol, and Multiboot 1 images.
#pragma once

#include "boot/kernel.h"

namespace husk::boot {

[[nodiscard]] bool is_elf(std::span<const std::byte> kernel);
[[nodiscard]] bool is_multiboot(std::span<const std::byte> kernel);
// The 32-bit PVH entry point, from the note XEN_ELFNOTE_PHYS32_ENTRY.
[[nodiscard]] std::optional<uint32_t> pvh_entry(std::span<const std::byte> kernel);

[[nodiscard]] Result<LoadedKernel> load_elf(memory::GuestMemory& memory, const KernelRequest& request);
[[nodiscard]] Result<LoadedKernel> load_multiboot(memory::GuestMemory& memory, const KernelRequest& request);

}  // namespace husk::boot
