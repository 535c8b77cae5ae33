// Guest memory from a chain of snapshots.
#pragma once

#include <memory>

#include "husk/error.h"

#include "memory/guest_memory.h"
#include "snapshot/chain.h"

namespace husk::snapshot {

// Memory as it was captured. What lies plain in a file in long stretches is a private view of it,
// read when the guest touches it; the rest is read now. Of a single plain snapshot that is one
// mmap(2), whatever its size. Nobody may shorten a file as long as the memory lives (SIGBUS); that
// one is deleted is harmless.
[[nodiscard]] Result<std::unique_ptr<memory::GuestMemory>> restore_memory(const Chain& chain);

}  // namespace husk::snapshot
