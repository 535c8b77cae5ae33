// What a process does before it forks off many copies of one machine.
#pragma once

#include "husk/error.h"

#include "runtime/container.h"

namespace husk::runtime {

// Restores a copy that nobody sees and has it answer, so that what its processors had to find out
// about its code is known to all machines of this process and of those that are forked off from it.
// It is gone when this returns, and so are its threads. Nothing to do for a backend with nothing to
// find out. An error: copies of this snapshot do not run.
[[nodiscard]] Result<void> rehearse(const RestoreOptions& options);

}  // namespace husk::runtime
