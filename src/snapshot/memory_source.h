// Where a writer takes memory from.
#pragma once

#include <span>
#include <vector>

#include "husk/error.h"

#include "memory/guest_memory.h"
#include "snapshot/ranges.h"

namespace husk::snapshot {

class MemorySource {
 public:
  virtual ~MemorySource() = default;
  [[nodiscard]] virtual uint64_t size() const = 0;
  // All that may be something else than zero.
  [[nodiscard]] virtual Result<std::vector<Range>> data() = 0;
  [[nodiscard]] virtual Result<void> read(uint64_t at, std::span<std::byte> out) = 0;
};

// A machine's. Read by pread(2) where it is a file: a look through the mapping would take pages
// from the host for everything that the guest never touched.
class GuestMemorySource final : public MemorySource {
 public:
  explicit GuestMemorySource(const memory::GuestMemory& memory) : memory_(memory) {}
  [[nodiscard]] uint64_t size() const override { return memory_.size(); }
  [[nodiscard]] Result<std::vector<Range>> data() override;
  [[nodiscard]] Result<void> read(uint64_t at, std::span<std::byte> out) override;

 private:
  const memory::GuestMemory& memory_;
};

}  // namespace husk::snapshot
