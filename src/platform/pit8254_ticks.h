// The 8254's time: ticks of its 1.193182 MHz, and nanoseconds.
#pragma once

#include <cstdint>

namespace husk::platform {

constexpr uint64_t kPitFrequency = 1'193'182;
constexpr uint64_t kNsPerSecond = 1'000'000'000;

// Rounded down, so that no tick is early.
inline uint64_t ns_to_ticks(uint64_t ns) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(ns) * kPitFrequency / kNsPerSecond);
}
// Rounded up: ns_to_ticks() has them all by then.
inline uint64_t ticks_to_ns(uint64_t ticks) {
  return static_cast<uint64_t>(
      (static_cast<unsigned __int128>(ticks) * kNsPerSecond + kPitFrequency - 1) / kPitFrequency);
}

}  // namespace husk::platform
