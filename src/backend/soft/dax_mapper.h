// File pages in guest-physical space without a copy. Satisfies seam::DaxMapper.
#pragma once

#include <utility>

#include "backend/soft/mmu/physical_map.h"
#include "memory/file_window.h"

namespace husk::soft {

// Belongs to whoever asked for it and outlives the vCPUs' last step. Thread-safe.
class DaxMapper {
 public:
  DaxMapper(memory::FileWindow window, uint64_t gpa, mmu::PhysicalMap& memory)
      : window_(std::move(window)), gpa_(gpa), memory_(memory) {}

  [[nodiscard]] Result<void> map_file(uint64_t at, int file, uint64_t offset, uint64_t length,
                                      bool shared) {
    using Writes = memory::FileWindow::Writes;
    return changed(
        at, length,
        window_.show(at, file, offset, length, shared ? Writes::kShared : Writes::kPrivate));
  }
  [[nodiscard]] Result<void> unmap(uint64_t at, uint64_t length) {
    return changed(at, length, window_.hide(at, length));
  }

 private:
  // Translations hold host addresses, which stay; only code that was decoded there is old now.
  Result<void> changed(uint64_t at, uint64_t length, Result<void> result) {
    if (result) memory_.host_wrote(Gpa{gpa_ + at}, length);
    return result;
  }

  memory::FileWindow window_;
  uint64_t gpa_;
  mmu::PhysicalMap& memory_;
};

}  // namespace husk::soft
