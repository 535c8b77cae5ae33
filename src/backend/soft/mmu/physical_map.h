// Guest-physical space as the CPU sees it: which ranges are RAM, where they are on the host, and
// what each RAM page is used for. Shared by all vCPUs of a VM.
//
// How decoded code stays true. Writes go straight to memory through each vCPU's TLB, except for
// pages that hold decoded code, which no vCPU may have writable in its TLB:
//   1. A vCPU that decodes from page P first calls begin_code(P). If P was no code page, it becomes
//   one and the
//      VM's code epoch E is raised; P remembers E.
//   2. Every vCPU, at its next block boundary, sees that the epoch moved, drops its writable
//   translations and
//      acknowledges E. A vCPU that waits in HLT counts as having acknowledged: it does so before it
//      goes on.
//   3. Blocks of P are kept in a cache only once every vCPU has acknowledged E (settled()); before
//   that they are
//      executed and forgotten, because a write through an old translation would go unseen.
//   4. A write to a code page takes the slow path, which raises the page's generation *after* the
//   bytes are in
//      memory. A cached block compares its generation on entry.
//   5. A page that is written again and again, and so holds data by now, is no code page any more.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "husk/error.h"

#include "base/fd.h"
#include "contract/address.h"
#include "memory/guest_memory.h"

namespace husk::soft::mmu {

struct PageState {
  std::atomic<uint32_t> generation{0};  // raised by every write while the page is code
  std::atomic<uint32_t> code_epoch{0};  // 0: no decoded code here
};

// One page of RAM; `state` is null only when the address is not RAM.
struct PageRef {
  std::byte* host = nullptr;
  PageState* state = nullptr;
  bool writable = false;
};

class PhysicalMap : public memory::WriteObserver {
 public:
  static constexpr size_t kMaxVcpus = 64;

  PhysicalMap() {
    for (size_t vcpu = 0; vcpu < kMaxVcpus; ++vcpu)
      set_idle(vcpu);  // until it acknowledges for the first time
  }
  PhysicalMap(const PhysicalMap&) = delete;
  PhysicalMap& operator=(const PhysicalMap&) = delete;

  // While no vCPU executes; ranges are page-aligned and must not overlap.
  [[nodiscard]] Result<void> map(std::byte* host, uint64_t gpa, uint64_t length, bool writable);
  [[nodiscard]] Result<void> unmap(uint64_t gpa, uint64_t length);
  // Moves with every change; a vCPU that sees it move forgets translations and decoded code.
  [[nodiscard]] uint64_t layout_epoch() const {
    return layout_epoch_.load(std::memory_order_acquire);
  }

  // The page that holds `gpa`.
  [[nodiscard]] PageRef page(uint64_t gpa) const {
    for (const Slot& slot : slots_) {
      const uint64_t offset = gpa - slot.gpa;
      if (offset < slot.length) {
        return {slot.host + (offset & kPageMask), &slot.pages[offset / kPageSize], slot.writable};
      }
    }
    return {};
  }

  // Step 4 for writes that the host makes: devices, loaders, debuggers.
  void host_wrote(Gpa gpa, uint64_t length) override;

  // The epoch since which the page holds code, for settled().
  uint32_t begin_code(PageState& page);
  [[nodiscard]] bool settled(const PageState& page, uint32_t epoch) const;
  // Step 4, after a vCPU's write to a code page.
  void code_written(PageState& page);
  // Moves with every such write, a vCPU's or the host's. Translated code does not compare
  // generations: its vCPU is told by `bit` of its `word` instead, and looks when it polls that.
  [[nodiscard]] uint32_t modifications() const {
    return modifications_.load(std::memory_order_acquire);
  }
  void tell_modifications(size_t vcpu, std::atomic<uint32_t>& word, uint32_t bit);
  void stop_telling(size_t vcpu);
  [[nodiscard]] uint32_t code_epoch() const { return epoch_.load(std::memory_order_acquire); }
  // A vCPU's side of step 2. Idle vCPUs (not created, halted) count as having acknowledged.
  void acknowledge(size_t vcpu, uint32_t epoch) {
    acknowledged_[vcpu].store(epoch, std::memory_order_release);
  }
  void set_idle(size_t vcpu) { acknowledged_[vcpu].store(kIdle, std::memory_order_release); }

  // Held by locked accesses that no single instruction of the host's can make: across two pages.
  [[nodiscard]] std::mutex& bus_lock() { return bus_lock_; }

  // Where writes are logged when tracking is on; may be absent.
  void set_dirty_log(memory::GuestMemory* log) { dirty_log_ = log; }
  [[nodiscard]] memory::GuestMemory* dirty_log() const { return dirty_log_; }

 private:
  struct Slot {
    uint64_t gpa = 0;
    uint64_t length = 0;
    std::byte* host = nullptr;
    bool writable = true;
    base::Mapping storage;  // of `pages`: zero pages, taken only as they are touched
    PageState* pages = nullptr;
  };
  static constexpr uint32_t kIdle = ~uint32_t{0};

  std::vector<Slot> slots_;
  memory::GuestMemory* dirty_log_ = nullptr;
  std::mutex bus_lock_;
  std::mutex epoch_mutex_;
  std::atomic<uint32_t> epoch_{0};
  std::atomic<uint64_t> layout_epoch_{0};
  std::array<std::atomic<uint32_t>, kMaxVcpus> acknowledged_{};

  struct Listener {
    std::atomic<uint32_t>* word = nullptr;
    uint32_t bit = 0;
  };
  void tell_all();
  std::atomic<uint32_t> modifications_{0};
  std::mutex listeners_mutex_;
  std::array<Listener, kMaxVcpus> listeners_{};
};

}  // namespace husk::soft::mmu
