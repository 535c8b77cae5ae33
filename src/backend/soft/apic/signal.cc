#include "backend/soft/apic/signal.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

#include "base/clock.h"

namespace husk::soft {

namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;

// Sleeps while *word == expected, at longest until the deadline. May return early.
void futex_wait(const std::atomic<uint32_t>& word, uint32_t expected, uint64_t deadline_ns) {
  const timespec until{.tv_sec = static_cast<time_t>(deadline_ns / kNsPerSecond),
                       .tv_nsec = static_cast<long>(deadline_ns % kNsPerSecond)};
  // FUTEX_WAIT_BITSET, not FUTEX_WAIT: its time-out is absolute (futex(2)).
  syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
          deadline_ns == kNever ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

// The mark is set only over a word of zero, and raise() learns of it by the same atomic operation
// that sets the bit: either the mark came first and raise() wakes, or the bit came first and there
// is no sleep.
bool VcpuSignal::wait_until(uint64_t deadline_ns) {
  uint32_t expected = 0;
  if (!word_.compare_exchange_strong(expected, kSleeping, std::memory_order_acq_rel)) return true;
  while (word_.load(std::memory_order_acquire) == kSleeping) {
    if (deadline_ns != kNever && base::monotonic_ns() >= deadline_ns) break;
    futex_wait(word_, kSleeping, deadline_ns);
  }
  return (word_.fetch_and(~kSleeping, std::memory_order_acq_rel) & kAnyBit) != 0;
}

void VcpuSignal::wake() {
  syscall(SYS_futex, &word_, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace husk::soft
