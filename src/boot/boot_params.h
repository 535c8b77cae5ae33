// The zero page: struct boot_params of the Linux boot protocol
// (Documentation/arch/x86/zero-page.rst).
#pragma once

#include <cstdint>
#include <span>

#include "boot/loading.h"

namespace husk::boot {

// Writes boot_params at kBootInfoAddress: the kernel's own setup header (`fields`, from offset
// 0x1f1; empty for an ELF kernel, which gets the few fields that Linux looks at), the memory map,
// command line, initrd and RSDP.
[[nodiscard]] Result<void> write_boot_params(memory::GuestMemory& memory,
                                             std::span<const std::byte> fields, InitrdPlace initrd,
                                             Gpa rsdp);

}  // namespace husk::boot
