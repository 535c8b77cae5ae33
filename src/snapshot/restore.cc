#include "snapshot/restore.h"

#include "base/try.h"
#include "memory/file_window.h"

namespace husk::snapshot {
namespace {

using memory::FileWindow;

// Shorter stretches are read: a mapping costs the kernel a VMA and a fault for every page, and a
// process may have 65,530 of them (vm.max_map_count).
constexpr uint64_t kWorthMapping = uint64_t{256} << 10;
constexpr size_t kMaxMappings = 8192;

class Restorer {
 public:
  explicit Restorer(FileWindow& window) : window_(window) {}

  Result<void> place(const Extent& extent) {
    if (extent.is_zero()) return {};
    if (is_worth_mapping(extent)) {
      ++mappings_;
      return window_.show(extent.at, extent.file->fd(), extent.file_offset(), extent.length,
                          FileWindow::Writes::kPrivate);
    }
    return extent.file->read(*extent.run, extent.at, {window_.host() + extent.at, extent.length},
                             unpacked_);
  }

 private:
  [[nodiscard]] bool is_worth_mapping(const Extent& extent) const {
    const uint64_t page = FileWindow::host_page();
    return !extent.run->is_compressed() && extent.length >= kWorthMapping &&
           mappings_ < kMaxMappings && extent.at % page == 0 && extent.length % page == 0 &&
           extent.file_offset() % page == 0;
  }

  FileWindow& window_;
  size_t mappings_ = 0;
  Unpacked unpacked_;
};

}  // namespace

Result<std::unique_ptr<memory::GuestMemory>> restore_memory(const Chain& chain) {
  FileWindow window = HUSK_TRY(FileWindow::create(chain.tip().memory_size()));
  Restorer restorer(window);
  for (const Extent& extent : chain.extents()) HUSK_TRY(restorer.place(extent));
  return memory::GuestMemory::over(region_specs(chain.tip().manifest().machine), std::move(window));
}

}  // namespace husk::snapshot
