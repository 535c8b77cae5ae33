// The host's clocks, in nanoseconds.
#pragma once

#include <cstdint>

namespace husk::base {

[[nodiscard]] uint64_t monotonic_ns();  // CLOCK_MONOTONIC
[[nodiscard]] uint64_t realtime_ns();   // CLOCK_REALTIME, since the Unix epoch

}  // namespace husk::base
