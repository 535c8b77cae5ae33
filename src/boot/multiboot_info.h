// The Multiboot information structure (Multiboot Specification 0.6.96, 3.3).
#pragma once

#include "boot/loading.h"

namespace husk::boot {

// Writes it at kBootInfoAddress, with memory sizes and map, command line (already at kCommandLine),
// one module
// (`initrd`, when there is one) and the loader's name.
[[nodiscard]] Result<void> write_multiboot_info(memory::GuestMemory& memory, InitrdPlace initrd,
                                                const std::string& initrd_name);

}  // namespace husk::boot
