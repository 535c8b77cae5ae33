// The one checked door to guest memory. Owns the guest's RAM (a memfd, or a private view of files,
// mapped) and its dirty log.
//
// Every access is bounds-checked and returns an error for what is not RAM; nothing a guest chooses
// can make it abort. Reads and writes are plain copies, not atomic with respect to running vCPUs,
// except load/store of naturally aligned 1, 2, 4 and 8 bytes, which are single accesses.
// Thread-safe once built; regions do not change while vCPUs run.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "husk/error.h"

#include "base/fd.h"
#include "contract/address.h"
#include "memory/file_window.h"

namespace husk::memory {

struct RegionSpec {
  Gpa start;
  uint64_t size = 0;  // bytes, a multiple of 4 KiB
};

struct Region {
  Gpa start;
  uint64_t size = 0;
  std::byte* host = nullptr;
  uint64_t file_offset = 0;  // of the region's first byte in the memory file, or in the window
  uint64_t first_page = 0;   // index of its first page in the dirty log

  [[nodiscard]] bool contains(Gpa gpa, uint64_t length) const {
    const uint64_t offset = gpa.value - start.value;
    return gpa.value >= start.value && offset < size && length <= size - offset;
  }
};

class GuestMemory;

// The backend, as far as memory has to ask or tell it: a CPU of ours keeps decoded code, which the
// host may overwrite; a hypervisor notes by itself what its vCPUs write.
class WriteObserver {
 public:
  virtual ~WriteObserver() = default;
  // After the bytes are in memory; any thread.
  virtual void host_wrote(Gpa gpa, uint64_t length) = 0;
  // Dirty tracking goes on or off. An error: it cannot, and stays as it was.
  virtual Result<void> track_writes(bool) { return {}; }
  // Marks what vCPUs have written since the last call and has not been marked yet. An error: some
  // of that may be lost, and all of memory has to be taken for written.
  virtual Result<void> report_writes(GuestMemory&) { return {}; }
};

class GuestMemory {
 public:
  // Regions are sorted, page-aligned and do not overlap. Memory is zero and is only taken from the
  // host as it is touched.
  [[nodiscard]] static Result<std::unique_ptr<GuestMemory>> create(
      std::span<const RegionSpec> specs);
  // Memory that begins as what the window shows, which is as large as all regions: they lie in it
  // back to back. Writes stay in this process as long as the window shows files privately.
  [[nodiscard]] static Result<std::unique_ptr<GuestMemory>> over(std::span<const RegionSpec> specs,
                                                                 FileWindow window);

  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  [[nodiscard]] Result<void> read(Gpa gpa, std::span<std::byte> out) const;
  [[nodiscard]] Result<void> write(Gpa gpa, std::span<const std::byte> in);

  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] Result<T> load(Gpa gpa) const {
    const std::byte* host = find(gpa, sizeof(T));
    if (host == nullptr) return out_of_range(gpa, sizeof(T));
    T value;
    std::memcpy(&value, host, sizeof(T));
    return value;
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] Result<void> store(Gpa gpa, const T& value) {
    std::byte* host = find(gpa, sizeof(T));
    if (host == nullptr) return out_of_range(gpa, sizeof(T));
    std::memcpy(host, &value, sizeof(T));
    host_wrote(gpa, sizeof(T));
    return {};
  }

  // The bytes themselves, for zero copy; valid as long as this object. A writer calls host_wrote()
  // afterwards.
  [[nodiscard]] Result<std::span<std::byte>> host_span(Gpa gpa, uint64_t length) const;
  // As host_span, nullptr where the range is not within one region.
  [[nodiscard]] std::byte* find(Gpa gpa, uint64_t length) const {
    for (const Region& region : regions_) {
      if (region.contains(gpa, length)) return region.host + (gpa.value - region.start.value);
    }
    return nullptr;
  }

  // Zeroes all of it and gives the host its pages back; every place stays where it is. Nobody else
  // may be using the memory.
  [[nodiscard]] Result<void> clear();

  [[nodiscard]] uint64_t size() const { return size_; }  // bytes of RAM, all regions
  [[nodiscard]] std::span<const Region> regions() const { return regions_; }
  // What a region's file_offset counts in. -1 for memory over a window, which no one file has.
  [[nodiscard]] int file() const { return file_.get(); }
  // All regions back to back.
  [[nodiscard]] std::span<std::byte> bytes() const { return {regions_.front().host, size_}; }

  // The host has written these bytes: they are dirty, and the observer learns of it.
  void host_wrote(Gpa gpa, uint64_t length) {
    mark_dirty(gpa, length);
    if (observer_ != nullptr) observer_->host_wrote(gpa, length);
  }
  void host_wrote(std::span<const std::byte> bytes);  // as found by host_span() or find()
  // At most one, which removes itself (null) before it goes. While nobody writes.
  void set_observer(WriteObserver* observer) { observer_ = observer; }

  // Dirty tracking, by 4 KiB page. Off, mark_dirty() costs one load.
  [[nodiscard]] Result<void> enable_dirty_tracking();
  [[nodiscard]] Result<void> disable_dirty_tracking();
  [[nodiscard]] bool dirty_tracking() const { return tracking_.load(std::memory_order_relaxed); }
  void mark_dirty(Gpa gpa, uint64_t length) {
    if (dirty_tracking()) mark_dirty_pages(gpa, length);
  }
  // The start of every page written since the last call, which also clears them. Each call raises
  // dirty_epoch(); a backend that caches writable translations drops them when it sees the epoch
  // move.
  [[nodiscard]] Result<std::vector<Gpa>> take_dirty_pages();
  [[nodiscard]] uint64_t dirty_epoch() const {
    return dirty_epoch_.load(std::memory_order_acquire);
  }

 private:
  GuestMemory() = default;
  [[nodiscard]] Result<void> lay_out(std::span<const RegionSpec> specs);
  void place(std::byte* host);
  [[nodiscard]] static std::unexpected<Error> out_of_range(Gpa gpa, uint64_t length);
  void mark_dirty_pages(Gpa gpa, uint64_t length);

  base::Fd file_;
  base::Mapping mapping_;
  std::optional<FileWindow> window_;  // in the place of the two
  std::vector<Region> regions_;
  uint64_t size_ = 0;
  WriteObserver* observer_ = nullptr;
  std::atomic<bool> tracking_{false};
  std::atomic<uint64_t> dirty_epoch_{0};
  std::vector<std::atomic<uint64_t>> dirty_;  // one bit per page
};

}  // namespace husk::memory
