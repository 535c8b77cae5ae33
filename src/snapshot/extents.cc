#include "snapshot/extents.h"

#include <algorithm>

namespace husk::snapshot {

std::vector<Extent> lay_under(std::span<const Extent> above, const SnapshotFile& file) {
  std::vector<Extent> all;
  all.reserve(above.size() + file.runs().size());
  auto next = above.begin();
  uint64_t at = 0;  // all before is decided
  for (const Run& run : file.runs()) {
    at = std::max(at, run.at);
    while (at < run.end()) {
      for (; next != above.end() && next->at <= at; ++next) {
        all.push_back(*next);
        at = std::max(at, next->end());
      }
      if (at >= run.end()) break;
      const uint64_t end = next == above.end() ? run.end() : std::min(run.end(), next->at);
      all.push_back({at, end - at, &file, &run});
      at = end;
    }
  }
  all.insert(all.end(), next, above.end());
  return all;
}

}  // namespace husk::snapshot
