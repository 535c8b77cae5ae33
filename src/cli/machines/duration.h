// Times as people read and write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "husk/error.h"

namespace husk::cli::machines {

// "Less than a second", "5 seconds", "About a minute", "3 hours", "2 weeks", as Docker.
[[nodiscard]] std::string roughly(uint64_t duration_ns);

// Nanoseconds since the Unix epoch as RFC 3339 in UTC: "2026-11-21T14:35:18.000000123Z".
[[nodiscard]] std::string timestamp(uint64_t time_ns);

// A moment: "2026-11-21T14:35:18.5Z" (or "+01:00"; without either: UTC), "2026-11-21", seconds
// since the Unix epoch, or how long before `now_ns`: "10m", "1h30m", "2.5s". kInvalidArgument.
[[nodiscard]] Result<uint64_t> parse_moment(std::string_view text, uint64_t now_ns);

}  // namespace husk::cli::machines
