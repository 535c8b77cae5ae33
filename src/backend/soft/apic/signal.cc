#include "backend/soft/apic/signal.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace husk::soft::apic {
namespace {

// The bitset forms: their time-out is absolute on CLOCK_MONOTONIC (futex(2)).
long futex(const std::atomic<uint32_t>& word, int op, uint32_t value, const timespec* deadline) {
  return ::syscall(SYS_futex, &word, op | FUTEX_PRIVATE_FLAG, value, deadline, nullptr,
                   FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

// The mark is only put on a word of zero, and raise() learns of it from the same atomic operation
// that sets its bit: either the mark was there and raise() wakes, or the bit was there and nobody
// sleeps.
void VcpuSignal::wait(uint64_t deadline_ns) {
  uint32_t none = 0;
  if (!word_.compare_exchange_strong(none, kSleeping, std::memory_order_acq_rel)) return;
  const timespec deadline{static_cast<time_t>(deadline_ns / 1'000'000'000),
                          static_cast<long>(deadline_ns % 1'000'000'000)};
  futex(word_, FUTEX_WAIT_BITSET, kSleeping, deadline_ns == 0 ? nullptr : &deadline);
  word_.fetch_and(~kSleeping, std::memory_order_acq_rel);
}

void VcpuSignal::wake() { futex(word_, FUTEX_WAKE_BITSET, 1, nullptr); }

}  // namespace husk::soft::apic
