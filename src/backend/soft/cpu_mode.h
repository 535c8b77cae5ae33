// Whether the built-in CPU translates, as the environment says. HUSK_CPU_MODE is `interp` or `jit`;
// HUSK_JIT_AFTER is the number of times that a block is interpreted before it is translated.
#pragma once

#include <cstdint>

namespace husk::soft {

struct CpuModeChoice {
  bool translates = true;
  int32_t threshold = 0;
};

[[nodiscard]] CpuModeChoice cpu_mode_choice();

}  // namespace husk::soft
