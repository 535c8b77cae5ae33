#include "snapshot/touched.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "base/fd.h"
#include "base/try.h"

namespace husk::snapshot {
namespace {

constexpr size_t kEntries = 4096;  // of the page map, read at once

struct Area {
  uint64_t start = 0, end = 0;
  bool anonymous = false;
};

// "7f0a0000-7f0b0000 rw-p 00000000 00:00 0", and a path where it is a file's.
std::optional<Area> parse_area(const std::string& line) {
  Area area;
  const char* end = line.data() + line.size();
  const auto first = std::from_chars(line.data(), end, area.start, 16);
  if (first.ec != std::errc() || first.ptr == end) return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, area.end, 16);
  if (second.ec != std::errc()) return std::nullopt;
  std::istringstream rest(std::string(second.ptr, end));
  std::string rights, offset, device, inode;
  rest >> rights >> offset >> device >> inode;
  area.anonymous = inode == "0";
  return area;
}

// Of an anonymous area: the pages that are there.
class PageMap {
 public:
  [[nodiscard]] Result<void> open() {
    fd_ = base::Fd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    return fd_.valid() ? Result<void>() : fail_errno("/proc/self/pagemap", "cannot be opened");
  }
  // Appends offsets from `base`.
  [[nodiscard]] Result<void> add(const Area& area, uint64_t base, std::vector<Range>& ranges) {
    constexpr uint64_t kPresentOrSwapped = uint64_t{3} << 62;
    const auto page = static_cast<uint64_t>(::getpagesize());
    std::vector<uint64_t> entries(kEntries);
    for (uint64_t at = area.start; at < area.end;) {
      const size_t count = std::min<uint64_t>(kEntries, (area.end - at) / page);
      const std::span chunk(entries.data(), count);
      HUSK_TRY(base::read_exact(fd_.get(), std::as_writable_bytes(chunk),
                                at / page * sizeof(uint64_t), "/proc/self/pagemap"));
      for (const uint64_t entry : chunk) {
        if ((entry & kPresentOrSwapped) != 0) append(ranges, {at - base, page});
        at += page;
      }
    }
    return {};
  }

 private:
  base::Fd fd_;
};

}  // namespace

Result<std::vector<Range>> touched(std::span<const std::byte> memory) {
  const auto base = reinterpret_cast<uint64_t>(memory.data());
  PageMap pages;
  HUSK_TRY(pages.open());
  std::ifstream maps("/proc/self/maps");
  if (!maps) return fail_errno("/proc/self/maps", "cannot be opened");
  std::vector<Range> ranges;
  for (std::string line; std::getline(maps, line);) {
    auto area = parse_area(line);
    if (!area || area->end <= base || area->start >= base + memory.size()) continue;
    area->start = std::max(area->start, base);
    area->end = std::min(area->end, base + memory.size());
    if (area->anonymous)
      HUSK_TRY(pages.add(*area, base, ranges));
    else
      append(ranges, {area->start - base, area->end - area->start});
  }
  return ranges;
}

}  // namespace husk::snapshot
