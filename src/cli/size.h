// Sizes as Docker writes them: a number with b, k, m or g (powers of 1024), bytes without.
#pragma once

#include <cstdint>
#include <string>

#include "husk/error.h"

namespace husk::cli {

[[nodiscard]] Result<uint64_t> parse_size(const std::string& flag, const std::string& text);

// As parse_size, and fit to be a guest's memory: at least `least` bytes, a whole number of pages,
// and no more than the host has.
[[nodiscard]] Result<uint64_t> parse_memory(const std::string& text, uint64_t least);

}  // namespace husk::cli
