// Runs a case on the host's processor, in this process: every register is loaded, the code is
// jumped to, and the exception that ends it is caught as a signal whose context holds the outcome.
// One per process, one thread.
#pragma once

#include <memory>

#include "husk/error.h"

#include "cpu_diff/engine.h"

namespace husk::cpu_diff {

[[nodiscard]] Result<std::unique_ptr<Engine>> create_native_engine();

}  // namespace husk::cpu_diff
