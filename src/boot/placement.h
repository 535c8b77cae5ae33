// What the loaders share: the command line and the initrd in memory, checked against what is there already.
#pragma once

#include <cstdint>

#include "boot/kernel.h"

namespace husk::boot {

// Writes the command line with its NUL at kCommandLine; `limit` is the protocol's greatest length without it.
[[nodiscard]] Result<void> place_command_line(memory::GuestMemory& memory, const std::string& text, uint64_t limit);

// Places the initrd as high as possible below both `limit` (an exclusive bound) and the end of low RAM, and not below
// `floor`, where the kernel ends. Returns its address, 0 when there is none.
[[nodiscard]] Result<uint64_t> place_initrd(memory::GuestMemory& memory, const KernelRequest& request, uint64_t floor,
                                            uint64_t limit);

// "needs N MiB of memory, the guest has M MiB"
[[nodiscard]] std::unexpected<Error> too_little_memory(const memory::GuestMemory& memory, const std::string& name,
                                                       uint64_t needed_end);

}  // namespace husk::boot
