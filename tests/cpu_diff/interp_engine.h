// Runs a case in Husk's interpreter, or translator: a guest of one vCPU in 64-bit mode, with the
// case at privilege level 3 and a handler behind every exception vector that only halts.
#pragma once

#include <memory>

#include "husk/error.h"

#include "cpu_diff/engine.h"

namespace husk::cpu_diff {

[[nodiscard]] Result<std::unique_ptr<Engine>> create_interp_engine(bool translates);

}  // namespace husk::cpu_diff
