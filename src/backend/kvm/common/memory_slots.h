// A VM's guest-physical memory as KVM's slots, and what the guest wrote of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "husk/error.h"

#include "contract/address.h"

namespace husk::kvm {

// Thread-safe.
class MemorySlots {
 public:
  using Mark = std::function<void(Gpa page, uint64_t length)>;

  // `limit` as KVM_CAP_NR_MEMSLOTS says.
  MemorySlots(int vm, uint32_t limit) : vm_(vm), limit_(limit) {}

  // `host` stays mapped until the slot is gone. Sizes and addresses are multiples of 4 KiB.
  [[nodiscard]] Result<void> map(std::byte* host, Gpa gpa, uint64_t length, bool writable);
  // What was mapped, whole.
  [[nodiscard]] Result<void> unmap(Gpa gpa, uint64_t length);

  // The host's byte behind a guest-physical address; null where nothing is mapped.
  [[nodiscard]] std::byte* find(Gpa gpa) const;

  // Whether KVM notes which pages vCPUs write. On success every slot, or none, does.
  [[nodiscard]] Result<void> set_logging(bool on);
  // Marks what was written since the last call, and forgets it: from KVM's bitmaps.
  [[nodiscard]] Result<void> collect_log(const Mark& mark);
  // Marks the page that a dirty ring names; one of no slot is ignored.
  void mark_entry(uint32_t slot, uint64_t page, const Mark& mark) const;

 private:
  struct Slot {
    std::byte* host = nullptr;
    Gpa gpa;
    uint64_t length = 0;  // 0: free
    bool writable = true;
  };
  [[nodiscard]] Result<void> set(uint32_t number, const Slot& slot, bool logging) const;

  int vm_;
  uint32_t limit_;
  mutable std::mutex mutex_;
  std::vector<Slot> slots_;  // by KVM's number
  bool logging_ = false;
};

}  // namespace husk::kvm
