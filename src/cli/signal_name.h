// Signals as users and images write them.
#pragma once

#include <string>
#include <string_view>

#include "husk/error.h"

namespace husk::cli {

inline constexpr int kHighestSignal = 64;  // of Linux

// "TERM", "SIGTERM", "sigterm" or "15"; SIGTERM where nothing is written. kInvalidArgument.
[[nodiscard]] Result<int> parse_signal(std::string_view text);

}  // namespace husk::cli
