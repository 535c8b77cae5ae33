// Lists for people: columns that are as wide as what is in them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace husk::cli {

// The first row is the heading. What is not printable ASCII is printed as '?': names may come from
// files that somebody else wrote.
void print_table(const std::vector<std::vector<std::string>>& rows);

// "12.3 MiB"
[[nodiscard]] std::string size_text(uint64_t bytes);
// A moment of the host's clock as "2026-11-21T14:35:17Z".
[[nodiscard]] std::string time_text(uint64_t realtime_ns);

}  // namespace husk::cli
