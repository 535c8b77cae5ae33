// What every backend asks of a debugger's options before it looks at its own limits.
#pragma once

#include "husk/debug.h"
#include "husk/error.h"

namespace husk::contract {

// kInvalidArgument, naming the point: too many, of no length, or across a boundary of its length.
[[nodiscard]] Result<void> check_debug(const DebugOptions& options);

}  // namespace husk::contract
