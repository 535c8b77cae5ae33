// Who has which guest-physical addresses during a load. Every piece claims its place here, before
// any byte is written, so that a refused kernel leaves memory as it was and an overlap names both
// of its parties.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "husk/error.h"

#include "memory/guest_memory.h"

namespace husk::boot {

class Placement {
 public:
  // Starts with the places of layout.h taken. `subject` names the kernel in errors. Borrows
  // `memory`.
  Placement(const memory::GuestMemory& memory, std::string subject);

  // [start, start + size) for `what`: within one region of RAM and free, or an error that says
  // which is not so.
  [[nodiscard]] Result<void> claim(std::string what, uint64_t start, uint64_t size);

  // The highest free, page-aligned place below `limit` (exclusive) that takes `size` bytes (not 0).
  [[nodiscard]] Result<uint64_t> claim_highest(std::string what, uint64_t size, uint64_t limit);

 private:
  struct Claim {
    uint64_t start = 0, end = 0;
    std::string what;
  };
  [[nodiscard]] const Claim* overlapping(uint64_t start, uint64_t end) const;

  const memory::GuestMemory& memory_;
  std::string subject_;
  std::vector<Claim> claims_;
};

// "12 MiB" or, below one MiB, "12 KiB"; rounded up.
[[nodiscard]] std::string readable_size(uint64_t bytes);

}  // namespace husk::boot
