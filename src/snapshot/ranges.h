// Ranges of memory or of a file: ascending lists of them, and where a sparse file has data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "husk/error.h"

#include "memory/guest_memory.h"

namespace husk::snapshot {

struct Range {
  uint64_t at = 0;
  uint64_t length = 0;

  [[nodiscard]] uint64_t end() const { return at + length; }
  bool operator==(const Range&) const = default;
};

// Appends, joining what touches the last one, and what overlaps it.
void append(std::vector<Range>& ranges, Range range);

// Where the file has data within [from, from + length), which is within the file. Holes read as
// zeroes. The whole range, on a file system that does not say.
[[nodiscard]] Result<std::vector<Range>> file_data(int fd, uint64_t from, uint64_t length,
                                                   const std::string& subject);

// Guest pages, in any order and any number of times, as ranges of offsets in memory.
[[nodiscard]] Result<std::vector<Range>> ranges_of(std::span<const Gpa> pages,
                                                   std::span<const memory::Region> regions);

}  // namespace husk::snapshot
