// How other threads get a vCPU's attention, and how a halted vCPU sleeps until they do.
// Knows nothing of what the bits lead to: the vCPU's loop takes them and acts.
#pragma once

#include <atomic>
#include <cstdint>

namespace husk::soft {

constexpr uint64_t kNever = UINT64_MAX;  // a deadline that does not come

// One per vCPU. The owner is the vCPU's thread: it polls pending() between blocks of instructions
// (one relaxed load), take()s what it is about to handle, and only then looks at the state that the
// bit announces, so that whatever arrives after its look raises the bit again.
class VcpuSignal {
 public:
  enum Bit : uint32_t {
    kInterrupt = 1u << 0,  // the local APIC may have an interrupt to deliver
    kTimer = 1u << 1,      // the local APIC's timer has expired: LocalApic::service_timer()
    kNmi = 1u << 2,        // an NMI waits: LocalApic::take_nmi()
    kInit = 1u << 3,       // INIT was received; handle it before kStartup
    kStartup = 1u << 4,    // a SIPI was received: LocalApic::startup_vector()
    kExit = 1u << 5,       // force_exit
    kFlush = 1u << 6,      // translations or cached code must be dropped
    kAnyBit = 0x7fffffff,  // every bit below the sleeper's mark is the user's
  };

  VcpuSignal() = default;
  VcpuSignal(const VcpuSignal&) = delete;
  VcpuSignal& operator=(const VcpuSignal&) = delete;

  // Any thread. What was written before is visible to the owner after its take(). A system call
  // only when the owner sleeps.
  void raise(uint32_t bits) {
    if ((word_.fetch_or(bits, std::memory_order_acq_rel) & kSleeping) != 0) wake();
  }

  // Owner only.
  [[nodiscard]] uint32_t pending() const { return word_.load(std::memory_order_relaxed); }
  // Clears those of `mask` that are set and returns them.
  uint32_t take(uint32_t mask) { return word_.fetch_and(~mask, std::memory_order_acq_rel) & mask; }
  // Sleeps until a bit is set or CLOCK_MONOTONIC reaches `deadline_ns`; returns at once if one is
  // set. True when a bit is set. No bit is cleared.
  bool wait_until(uint64_t deadline_ns = kNever);

  // The word that translated code may test against zero; see pending().
  [[nodiscard]] const std::atomic<uint32_t>& word() const { return word_; }

 private:
  static constexpr uint32_t kSleeping = 1u << 31;  // only while the owner is inside wait_until()

  void wake();

  std::atomic<uint32_t> word_{0};
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

}  // namespace husk::soft
