// How other threads get a vCPU's attention: a word of bits that the interpreter polls between
// blocks, and a place to sleep until one is set. Knows nothing of what the bits lead to.
#pragma once

#include <atomic>
#include <cstdint>

namespace husk::soft::apic {

enum SignalBit : uint32_t {
  kSignalInterrupt = 1u << 0,  // the local APIC may have something to deliver, or its timer expired
  kSignalExit = 1u << 1,       // force_exit
  kSignalInit = 1u << 2,       // to be handled before kSignalStartup
  kSignalStartup = 1u << 3,
  kSignalNmi = 1u << 4,
  kSignalCode = 1u << 5,  // code was modified, or found; the interpreter looks for itself
};

// The owner, the vCPU's thread, take()s bits before it looks at the state that they announce:
// whatever arrives after its look raises the bit again.
class VcpuSignal {
 public:
  VcpuSignal() = default;
  VcpuSignal(const VcpuSignal&) = delete;
  VcpuSignal& operator=(const VcpuSignal&) = delete;

  // Any thread. What was written before is visible to the owner once it has taken the bit. A system
  // call only when the owner sleeps.
  void raise(uint32_t bits) {
    if ((word_.fetch_or(bits, std::memory_order_acq_rel) & kSleeping) != 0) wake();
  }
  // Any thread: takes back what the owner has not seen yet.
  void clear(uint32_t bits) { word_.fetch_and(~bits, std::memory_order_acq_rel); }

  // The owner: the bits that were set, which are cleared.
  uint32_t take() { return word_.exchange(0, std::memory_order_acq_rel); }
  // What the owner polls: not zero when take() has something to return.
  [[nodiscard]] const std::atomic<uint32_t>& bits() const { return word_; }
  // For others that set a bit which nobody needs to be woken for.
  [[nodiscard]] std::atomic<uint32_t>& word() { return word_; }
  // The owner sleeps until a bit is set or CLOCK_MONOTONIC reaches `deadline_ns` (0: no deadline).
  // Takes nothing; may return early.
  void wait(uint64_t deadline_ns);

 private:
  static constexpr uint32_t kSleeping = 1u << 31;  // only while the owner is inside wait()

  void wake();

  std::atomic<uint32_t> word_{0};
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

}  // namespace husk::soft::apic
