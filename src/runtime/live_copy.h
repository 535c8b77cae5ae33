// A machine's memory a second time, filled while the machine runs: what is written meanwhile is
// copied again, until so little is left that the machine may be paused for it.
#pragma once

#include <memory>
#include <span>

#include "husk/error.h"

#include "memory/guest_memory.h"

namespace husk::runtime {

class LiveCopy {
 public:
  // Takes from the host only what is copied. `source` outlives it.
  [[nodiscard]] static Result<LiveCopy> create(const memory::GuestMemory& source);

  [[nodiscard]] Result<void> copy_all();
  void copy(std::span<const Gpa> pages);  // of the source
  [[nodiscard]] const memory::GuestMemory& memory() const { return *copy_; }

 private:
  LiveCopy(const memory::GuestMemory& source, std::unique_ptr<memory::GuestMemory> copy)
      : source_(&source), copy_(std::move(copy)) {}

  const memory::GuestMemory* source_;
  std::unique_ptr<memory::GuestMemory> copy_;
};

}  // namespace husk::runtime
