// bzImage by the 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst).
#pragma once

#include "boot/kernel.h"

namespace husk::boot {

[[nodiscard]] bool is_bzimage(std::span<const std::byte> kernel);
[[nodiscard]] Result<LoadedKernel> load_bzimage(memory::GuestMemory& memory, const KernelRequest& request);

}  // namespace husk::boot
