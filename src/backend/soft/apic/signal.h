// How other threads get a vCPU's attention: a word of bits that the interpreter polls between blocks, and a place to
// sleep until one is set.
#pragma once

#include <atomic>
#include <cstdint>

namespace husk::soft::apic {

enum SignalBit : uint32_t {
  kSignalInterrupt = 1u << 0,  // the local APIC may have something to deliver
  kSignalExit = 1u << 1,       // force_exit
  kSignalInit = 1u << 2,
  kSignalStartup = 1u << 3,
  kSignalNmi = 1u << 4,
};

class VcpuSignal {
 public:
  // Any thread.
  void raise(uint32_t bit);
  // The owner: the bits that were set, which are cleared.
  uint32_t take() { return bits_.exchange(0, std::memory_order_acq_rel); }
  void clear(uint32_t bits) { bits_.fetch_and(~bits, std::memory_order_acq_rel); }
  [[nodiscard]] const std::atomic<uint32_t>& bits() const { return bits_; }
  // The owner sleeps until a bit is set or CLOCK_MONOTONIC reaches `deadline_ns` (0: no deadline).
  void wait(uint64_t deadline_ns);

 private:
  std::atomic<uint32_t> bits_{0};
};

}  // namespace husk::soft::apic
