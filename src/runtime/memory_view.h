// Guest memory as the high-level machine shows it.
#pragma once

#include "husk/machine.h"

#include "memory/guest_memory.h"

namespace husk::runtime {

// As thread-safe as what it shows, which it borrows.
class MemoryView final : public machine::GuestMemory {
 public:
  explicit MemoryView(memory::GuestMemory& memory) : memory_(&memory) {}
  // Shows other memory of the same layout from now on.
  void show(memory::GuestMemory& memory) { memory_ = &memory; }

  Result<void> read(machine::GuestAddress addr, std::span<std::byte> out) const override;
  Result<void> write(machine::GuestAddress addr, std::span<const std::byte> in) override;
  Result<std::byte*> host_address(machine::GuestAddress addr) const override;
  uint64_t size() const override { return memory_->size(); }
  Result<void> enable_dirty_tracking() override;
  Result<void> disable_dirty_tracking() override;
  Result<std::vector<DirtyPageInfo>> take_dirty_pages() override;
  Result<void> dump_all(std::span<std::byte> out) const override;

 private:
  memory::GuestMemory* memory_;
};

}  // namespace husk::runtime
