// Where a kernel and its initrd go: decided from sizes alone, before the first byte is written. The
// device tree has the 2 MiB below them.
#pragma once

#include <cstdint>
#include <string>

#include "husk/error.h"

#include "boot/arm64/image.h"
#include "contract/address.h"
#include "memory/guest_memory.h"

namespace husk::boot::arm64 {

struct Places {
  Gpa kernel;
  Gpa initrd;  // 0: none
};

// `name` is the kernel's and `initrd_name` the initrd's, for errors; `initrd_size` 0 means none.
[[nodiscard]] Result<Places> choose_places(const memory::GuestMemory& memory,
                                           const std::string& name, const ImageHeader& kernel,
                                           const std::string& initrd_name, uint64_t initrd_size);

}  // namespace husk::boot::arm64
