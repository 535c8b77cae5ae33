// Sizes that the command line asks for; how they are written says base/size.h.
#pragma once

#include <cstdint>
#include <string>

#include "husk/error.h"

namespace husk::cli {

// Of --memory, and fit to be a guest's: at least `least` bytes, a whole number of pages, and no
// more than the host has.
[[nodiscard]] Result<uint64_t> parse_memory(const std::string& text, uint64_t least);

}  // namespace husk::cli
