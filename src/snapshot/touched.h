// Which of this process's memory may hold something: what nobody has touched and no file lies
// behind reads as zeroes, and a look at it would take pages from the host.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "husk/error.h"

#include "snapshot/ranges.h"

namespace husk::snapshot {

// Offsets in `memory`, which is page-aligned: where a file is mapped, and pages that the process
// has, in memory or swapped out (proc(5), /proc/PID/maps and /proc/PID/pagemap). Nobody maps
// anything there meanwhile.
[[nodiscard]] Result<std::vector<Range>> touched(std::span<const std::byte> memory);

}  // namespace husk::snapshot
