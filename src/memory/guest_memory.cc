#include "memory/guest_memory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>

#include "base/checked.h"
#include "base/try.h"

namespace husk::memory {

Result<void> GuestMemory::lay_out(std::span<const RegionSpec> specs) {
  uint64_t end = 0;
  for (const RegionSpec& spec : specs) {
    const bool aligned = spec.start.value % kPageSize == 0 && spec.size % kPageSize == 0;
    const auto region_end = base::checked_add(spec.start.value, spec.size);
    if (!aligned || spec.size == 0 || spec.start.value < end || !region_end)
      return fail(ErrorKind::kInvalidArgument, "guest memory",
                  fmt::format("bad region at {:#x}, {} bytes", spec.start.value, spec.size));
    regions_.push_back({spec.start, spec.size, nullptr, size_, size_ / kPageSize});
    size_ += spec.size;
    end = *region_end;
  }
  if (size_ == 0) return fail(ErrorKind::kInvalidArgument, "guest memory", "is empty");
  return {};
}

void GuestMemory::place(std::byte* host) {
  for (Region& region : regions_) region.host = host + region.file_offset;
  dirty_ = std::vector<std::atomic<uint64_t>>((size_ / kPageSize + 63) / 64);
}

Result<std::unique_ptr<GuestMemory>> GuestMemory::create(std::span<const RegionSpec> specs) {
  std::unique_ptr<GuestMemory> memory(new GuestMemory);
  HUSK_TRY(memory->lay_out(specs));
  memory->file_ = base::Fd(::memfd_create("husk-guest-memory", MFD_CLOEXEC));
  if (!memory->file_.valid()) return fail_errno("guest memory", "cannot create a memory file");
  if (::ftruncate(memory->file_.get(), static_cast<off_t>(memory->size_)) != 0)
    return fail_errno("guest memory", fmt::format("cannot reserve {} bytes", memory->size_));
  memory->mapping_ =
      HUSK_TRY(base::Mapping::map(memory->size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                                  memory->file_.get(), 0, "guest memory"));
  memory->place(memory->mapping_.data());
  return memory;
}

Result<std::unique_ptr<GuestMemory>> GuestMemory::over(std::span<const RegionSpec> specs,
                                                       FileWindow window) {
  std::unique_ptr<GuestMemory> memory(new GuestMemory);
  HUSK_TRY(memory->lay_out(specs));
  if (memory->size_ != window.size())
    return fail(ErrorKind::kInvalidArgument, "guest memory",
                fmt::format("{} bytes do not fill a window of {}", memory->size_, window.size()));
  memory->window_ = std::move(window);
  memory->place(memory->window_->host());
  return memory;
}

std::unexpected<Error> GuestMemory::out_of_range(Gpa gpa, uint64_t length) {
  return fail(ErrorKind::kInvalidArgument, "guest memory",
              fmt::format("{:#x}, {} bytes: not RAM", gpa.value, length));
}

Result<void> GuestMemory::read(Gpa gpa, std::span<std::byte> out) const {
  if (out.empty()) return {};
  const std::byte* host = find(gpa, out.size());
  if (host == nullptr) return out_of_range(gpa, out.size());
  std::memcpy(out.data(), host, out.size());
  return {};
}

Result<void> GuestMemory::write(Gpa gpa, std::span<const std::byte> in) {
  if (in.empty()) return {};
  std::byte* host = find(gpa, in.size());
  if (host == nullptr) return out_of_range(gpa, in.size());
  std::memcpy(host, in.data(), in.size());
  host_wrote(gpa, in.size());
  return {};
}

Result<void> GuestMemory::clear() {
  if (window_) {
    HUSK_TRY(window_->hide(0, size_));
  } else if (::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                         static_cast<off_t>(size_)) != 0) {
    return fail_errno("guest memory", "cannot be cleared");
  }
  for (const Region& region : regions_) host_wrote(region.start, region.size);
  return {};
}

void GuestMemory::host_wrote(std::span<const std::byte> bytes) {
  for (const Region& region : regions_) {
    if (bytes.data() < region.host || bytes.data() >= region.host + region.size) continue;
    host_wrote(region.start + static_cast<uint64_t>(bytes.data() - region.host), bytes.size());
    return;
  }
}

Result<std::span<std::byte>> GuestMemory::host_span(Gpa gpa, uint64_t length) const {
  std::byte* host = find(gpa, length);
  if (host == nullptr) return out_of_range(gpa, length);
  return std::span<std::byte>(host, length);
}

Result<void> GuestMemory::enable_dirty_tracking() {
  if (observer_ != nullptr) HUSK_TRY(observer_->track_writes(true));
  for (auto& word : dirty_) word.store(0, std::memory_order_relaxed);
  tracking_.store(true, std::memory_order_release);
  dirty_epoch_.fetch_add(1, std::memory_order_acq_rel);
  return {};
}

Result<void> GuestMemory::disable_dirty_tracking() {
  if (observer_ != nullptr) HUSK_TRY(observer_->track_writes(false));
  tracking_.store(false, std::memory_order_release);
  return {};
}

void GuestMemory::mark_dirty_pages(Gpa gpa, uint64_t length) {
  for (const Region& region : regions_) {
    if (!region.contains(gpa, length)) continue;
    const uint64_t offset = gpa.value - region.start.value;
    const uint64_t last = region.first_page + (offset + length - 1) / kPageSize;
    for (uint64_t page = region.first_page + offset / kPageSize; page <= last; ++page)
      dirty_[page / 64].fetch_or(uint64_t{1} << (page % 64), std::memory_order_relaxed);
    return;
  }
}

Result<std::vector<Gpa>> GuestMemory::take_dirty_pages() {
  std::vector<Gpa> pages;
  if (observer_ != nullptr) HUSK_TRY(observer_->report_writes(*this));
  dirty_epoch_.fetch_add(1, std::memory_order_acq_rel);
  for (const Region& region : regions_) {
    const uint64_t last = region.first_page + region.size / kPageSize;
    for (uint64_t page = region.first_page; page < last; ++page) {
      const uint64_t bit = uint64_t{1} << (page % 64);
      if ((dirty_[page / 64].load(std::memory_order_relaxed) & bit) == 0) continue;
      dirty_[page / 64].fetch_and(~bit, std::memory_order_relaxed);
      pages.push_back(region.start + (page - region.first_page) * kPageSize);
    }
  }
  return pages;
}

}  // namespace husk::memory
