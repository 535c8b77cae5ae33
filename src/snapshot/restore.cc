#include "snapshot/restore.h"

#include <algorithm>

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

  // Its holes stay empty: a look at one of a mapped file has the kernel fill pages of its cache
  // with zeroes, and a capture would look at all of them.
  Result<void> show(const Extent& extent) {
    const uint64_t start = extent.file_offset();
    auto shown = HUSK_TRY(stretches(extent));
    if (mappings_ + shown.size() > kMaxMappings) shown = {{start, extent.length}};
    for (const Range& range : shown) {
      ++mappings_;
      HUSK_TRY(window_.show(extent.at + (range.at - start), extent.file->fd(), range.at,
                            range.length, FileWindow::Writes::kPrivate));
    }
    return {};
  }

  // In the file: where it has data, with the small holes between.
  static Result<std::vector<Range>> stretches(const Extent& extent) {
    const uint64_t page = FileWindow::host_page();
    const uint64_t end = extent.file_offset() + extent.length;
    std::vector<Range> joined;
    for (const Range& data : HUSK_TRY(file_data(extent.file->fd(), extent.file_offset(),
                                                extent.length, extent.file->path()))) {
      const uint64_t from = base::align_down(data.at, page);
      const uint64_t to = std::min(base::align_up(data.end(), page), end);
      const bool near = !joined.empty() && from < joined.back().end() + kWorthMapping;
      append(joined,
             near ? Range{joined.back().end(), to - joined.back().end()} : Range{from, to - from});
    }
    return joined;
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
