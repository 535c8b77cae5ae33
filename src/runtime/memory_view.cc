#include "runtime/memory_view.h"

#include <cstring>

#include "base/try.h"

namespace husk::runtime {

using machine::GuestAddress;

Result<void> MemoryView::read(GuestAddress addr, std::span<std::byte> out) const {
  return memory_->read(Gpa{addr.value}, out);
}

Result<void> MemoryView::write(GuestAddress addr, std::span<const std::byte> in) {
  return memory_->write(Gpa{addr.value}, in);
}

Result<std::byte*> MemoryView::host_address(GuestAddress addr) const {
  const std::span<std::byte> place = HUSK_TRY(memory_->host_span(Gpa{addr.value}, 1));
  return place.data();
}

Result<void> MemoryView::enable_dirty_tracking() { return memory_->enable_dirty_tracking(); }

Result<void> MemoryView::disable_dirty_tracking() { return memory_->disable_dirty_tracking(); }

Result<std::vector<DirtyPageInfo>> MemoryView::take_dirty_pages() {
  if (!memory_->dirty_tracking())
    return fail(ErrorKind::kState, "guest memory", "dirty tracking is off");
  std::vector<DirtyPageInfo> pages;
  const std::vector<Gpa> taken = HUSK_TRY(memory_->take_dirty_pages());
  for (const Gpa page : taken) pages.push_back({page.value, kPageSize});
  return pages;
}

Result<void> MemoryView::dump_all(std::span<std::byte> out) const {
  if (out.size() != memory_->size())
    return fail(ErrorKind::kInvalidArgument, "guest memory",
                "is " + std::to_string(memory_->size()) + " bytes, and room for " +
                    std::to_string(out.size()) + " was given");
  for (const memory::Region& region : memory_->regions())
    std::memcpy(out.data() + region.file_offset, region.host, region.size);
  return {};
}

}  // namespace husk::runtime
