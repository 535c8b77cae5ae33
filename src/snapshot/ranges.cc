#include "snapshot/ranges.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/try.h"

namespace husk::snapshot {
namespace {

Result<uint64_t> offset_of(Gpa page, std::span<const memory::Region> regions) {
  for (const memory::Region& region : regions) {
    if (page.value % kPageSize == 0 && region.contains(page, kPageSize))
      return region.file_offset + (page - region.start);
  }
  return fail(ErrorKind::kInvalidArgument, "snapshot",
              fmt::format("dirty page {:#x} is no page of memory", page.value));
}

}  // namespace

void append(std::vector<Range>& ranges, Range range) {
  if (ranges.empty() || range.at > ranges.back().end()) {
    ranges.push_back(range);
  } else {
    ranges.back().length = std::max(ranges.back().end(), range.end()) - ranges.back().at;
  }
}

Result<std::vector<Range>> file_data(int fd, uint64_t from, uint64_t length,
                                     const std::string& subject) {
  std::vector<Range> ranges;
  const uint64_t end = from + length;
  for (uint64_t at = from; at < end;) {
    const off_t data = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // no more of it
    if (data < 0 && errno == EINVAL) return std::vector{Range{from, length}};
    if (data < 0) return fail_errno(subject, "cannot find its data");
    if (static_cast<uint64_t>(data) >= end) break;
    const off_t hole = ::lseek(fd, data, SEEK_HOLE);
    if (hole <= data) return fail_errno(subject, "cannot find its data");
    at = std::min(static_cast<uint64_t>(hole), end);
    append(ranges, {static_cast<uint64_t>(data), at - static_cast<uint64_t>(data)});
  }
  return ranges;
}

Result<std::vector<Range>> ranges_of(std::span<const Gpa> pages,
                                     std::span<const memory::Region> regions) {
  std::vector<uint64_t> offsets;
  offsets.reserve(pages.size());
  for (const Gpa page : pages) offsets.push_back(HUSK_TRY(offset_of(page, regions)));
  std::ranges::sort(offsets);
  std::vector<Range> ranges;
  for (const uint64_t offset : offsets) append(ranges, {offset, kPageSize});
  return ranges;
}

}  // namespace husk::snapshot
