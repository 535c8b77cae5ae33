// A range of host memory that shows pieces of files: what lies behind a guest's DAX window. The
// addresses stay the same for its whole life, so that a backend maps it once and never learns what
// it shows.
#pragma once

#include <cstdint>

#include "husk/error.h"

#include "base/fd.h"

namespace husk::memory {

class FileWindow {
 public:
  enum class Writes : uint8_t {
    kPrivate,  // are the window's own: the file may be open for reading only and never changes
    kShared,   // go to the file
  };

  // What the host maps at once: 4 KiB on x86-64, up to 64 KiB on aarch64.
  [[nodiscard]] static uint64_t host_page();

  // Empty, which reads as zeroes. All sizes and offsets are multiples of host_page().
  [[nodiscard]] static Result<FileWindow> create(uint64_t size);

  // Shows `length` bytes of the file from `offset` on. They must exist, and must go on to: a file
  // that is cut while it is shown takes the process with it (SIGBUS), so the caller holds files
  // that nobody shortens. The descriptor may be closed afterwards. Replaces what was there, page by
  // page at one moment; any thread.
  [[nodiscard]] Result<void> show(uint64_t at, int file, uint64_t offset, uint64_t length,
                                  Writes writes);
  // Shows nothing there any more.
  [[nodiscard]] Result<void> hide(uint64_t at, uint64_t length);

  [[nodiscard]] std::byte* host() const { return mapping_.data(); }
  [[nodiscard]] uint64_t size() const { return mapping_.size(); }

 private:
  explicit FileWindow(base::Mapping mapping) : mapping_(std::move(mapping)) {}
  [[nodiscard]] Result<void> check(uint64_t at, uint64_t length) const;

  base::Mapping mapping_;
};

}  // namespace husk::memory
