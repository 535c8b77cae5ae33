// Whether bytes are all zero, at the speed of memcmp(3).
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

namespace husk::snapshot {

// Each byte equals the one before it, and the first is zero.
[[nodiscard]] inline bool is_zero(std::span<const std::byte> bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace husk::snapshot
