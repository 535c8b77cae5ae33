// File pages in guest-physical space without a copy. Satisfies seam::DaxMapper: KVM follows what
// the host maps at a slot's addresses by itself (its MMU notifiers).
#pragma once

#include <utility>

#include "memory/file_window.h"

namespace husk::kvm {

// Belongs to whoever asked for it and outlives the vCPUs' last step. Thread-safe.
class DaxMapper {
 public:
  explicit DaxMapper(memory::FileWindow window) : window_(std::move(window)) {}

  [[nodiscard]] Result<void> map_file(uint64_t at, int file, uint64_t offset, uint64_t length,
                                      bool shared) {
    using Writes = memory::FileWindow::Writes;
    return window_.show(at, file, offset, length, shared ? Writes::kShared : Writes::kPrivate);
  }
  [[nodiscard]] Result<void> unmap(uint64_t at, uint64_t length) {
    return window_.hide(at, length);
  }

 private:
  memory::FileWindow window_;
};

}  // namespace husk::kvm
