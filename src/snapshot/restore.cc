#include "snapshot/restore.h"

#include "base/checked.h"
#include "base/try.h"
#include "memory/file_window.h"
#include "snapshot/ranges.h"

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
    if (is_worth_mapping(extent)) return show(extent);
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

  // All of it, for that refuses a file that was cut; then without its holes. A look at one has the
  // kernel fill pages of its cache with zeroes, and a capture would look at all of them.
  Result<void> show(const Extent& extent) {
    const int file = extent.file->fd();
    const uint64_t start = extent.file_offset();
    ++mappings_;
    HUSK_TRY(window_.show(extent.at, file, start, extent.length, FileWindow::Writes::kPrivate));
    uint64_t hole = start;
    for (const Range& data : HUSK_TRY(file_data(file, start, extent.length, extent.file->path()))) {
      HUSK_TRY(hide(extent.at + (hole - start), extent.at + (data.at - start)));
      hole = data.end();
    }
    return hide(extent.at + (hole - start), extent.at + extent.length);
  }

  Result<void> hide(uint64_t from, uint64_t to) {
    const uint64_t begin = base::align_up(from, FileWindow::host_page());
    const uint64_t end = base::align_down(to, FileWindow::host_page());
    if (end < begin + kWorthMapping || mappings_ >= kMaxMappings) return {};
    ++mappings_;
    return window_.hide(begin, end - begin);
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
