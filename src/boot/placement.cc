#include "boot/placement.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "boot/layout.h"

namespace husk::boot {

std::string readable_size(uint64_t bytes) {
  constexpr uint64_t kKiB = 1024, kMiB = kKiB * 1024;
  const uint64_t unit = bytes < kMiB ? kKiB : kMiB;
  return fmt::format("{} {}", bytes / unit + (bytes % unit != 0), unit == kKiB ? "KiB" : "MiB");
}

Placement::Placement(const memory::GuestMemory& memory, std::string subject)
    : memory_(memory),
      subject_(std::move(subject)),
      claims_{{kGdtAddress, kGdtAddress + kPageSize, "the GDT"},
              {kBootInfoAddress, kPageTables, "the boot information"},
              {kPageTables, kPageTablesEnd, "the page tables"},
              {kCommandLine, kCommandLineEnd, "the command line"},
              {kLowMemoryEnd, kHighMemory, "the ACPI tables"}} {}

const Placement::Claim* Placement::overlapping(uint64_t start, uint64_t end) const {
  const auto found = std::ranges::find_if(
      claims_, [&](const Claim& claim) { return start < claim.end && claim.start < end; });
  return found == claims_.end() ? nullptr : &*found;
}

Result<void> Placement::claim(std::string what, uint64_t start, uint64_t size) {
  if (memory_.find(Gpa{start}, size) == nullptr)
    return fail(ErrorKind::kLimit, subject_,
                fmt::format("{} needs {} at {:#x}, the guest has {} of memory", what,
                            readable_size(size), start, readable_size(memory_.size())));
  const uint64_t end = start + size;
  if (const Claim* other = overlapping(start, end))
    return fail(ErrorKind::kInvalidArgument, subject_,
                fmt::format("{} at {:#x}-{:#x} overlaps {} at {:#x}-{:#x}", what, start, end,
                            other->what, other->start, other->end));
  claims_.push_back({start, end, std::move(what)});
  return {};
}

Result<uint64_t> Placement::claim_highest(std::string what, uint64_t size, uint64_t limit) {
  for (size_t i = memory_.regions().size(); i-- > 0;) {
    const memory::Region& region = memory_.regions()[i];
    const uint64_t floor = std::max(region.start.value, kHighMemory);
    uint64_t top = std::min(region.start.value + region.size, limit);
    // Each turn moves below another claim, so there are at most as many turns as claims.
    while (top > floor && top - floor >= size) {
      const uint64_t start = base::align_down(top - size, kPageSize);
      if (start < floor) break;
      const Claim* other = overlapping(start, start + size);
      if (other == nullptr) {
        claims_.push_back({start, start + size, std::move(what)});
        return start;
      }
      top = other->start;
    }
  }
  const memory::Region& last = memory_.regions().back();
  const bool limited = limit < last.start.value + last.size;
  return fail(
      ErrorKind::kLimit, subject_,
      fmt::format("no room for {} of {}{} beside the kernel, the guest has {} of memory", what,
                  readable_size(size), limited ? fmt::format(" below {:#x}", limit) : "",
                  readable_size(memory_.size())));
}

}  // namespace husk::boot
