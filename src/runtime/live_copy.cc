#include "runtime/live_copy.h"

#include <cstring>
#include <vector>

#include "base/try.h"
#include "snapshot/memory_source.h"
#include "snapshot/zero.h"

namespace husk::runtime {

Result<LiveCopy> LiveCopy::create(const memory::GuestMemory& source) {
  std::vector<memory::RegionSpec> specs;
  for (const memory::Region& region : source.regions())
    specs.push_back({region.start, region.size});
  return LiveCopy(source, HUSK_TRY(memory::GuestMemory::create(specs)));
}

// A page of zeroes that the guest fills meanwhile is in the log, as any other.
Result<void> LiveCopy::copy_all() {
  for (const snapshot::Range& range : HUSK_TRY(snapshot::GuestMemorySource(*source_).data())) {
    for (uint64_t at = range.at; at < range.end(); at += kPageSize) {
      const auto page = source_->bytes().subspan(at, kPageSize);
      if (!snapshot::is_zero(page))
        std::memcpy(copy_->bytes().data() + at, page.data(), page.size());
    }
  }
  return {};
}

void LiveCopy::copy(std::span<const Gpa> pages) {
  for (const Gpa page : pages) {
    const std::byte* from = source_->find(page, kPageSize);
    if (from != nullptr) std::memcpy(copy_->find(page, kPageSize), from, kPageSize);
  }
}

}  // namespace husk::runtime
