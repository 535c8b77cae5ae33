// Sizes as Docker writes them: a number with b, k, m or g (powers of 1024), bytes without.
#pragma once

#include <cstdint>
#include <string>

#include "husk/error.h"

namespace husk::base {

// kInvalidArgument for what is none, about `flag`.
[[nodiscard]] Result<uint64_t> parse_size(const std::string& flag, const std::string& text);

}  // namespace husk::base
