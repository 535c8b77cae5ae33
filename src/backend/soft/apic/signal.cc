#include "backend/soft/apic/signal.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace husk::soft::apic {
namespace {

// The futex word is the bits themselves: a waker changes the word before it wakes, so no wake-up is lost.
long futex(const std::atomic<uint32_t>& word, int op, uint32_t value, const timespec* deadline) {
  return ::syscall(SYS_futex, &word, op | FUTEX_PRIVATE_FLAG, value, deadline, nullptr, FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

void VcpuSignal::raise(uint32_t bit) {
  const uint32_t before = bits_.fetch_or(bit, std::memory_order_acq_rel);
  if (before == 0) futex(bits_, FUTEX_WAKE_BITSET, 1, nullptr);
}

void VcpuSignal::wait(uint64_t deadline_ns) {
  const timespec deadline{static_cast<time_t>(deadline_ns / 1'000'000'000),
                          static_cast<long>(deadline_ns % 1'000'000'000)};
  if (bits_.load(std::memory_order_acquire) != 0) return;
  futex(bits_, FUTEX_WAIT_BITSET, 0, deadline_ns == 0 ? nullptr : &deadline);
}

}  // namespace husk::soft::apic
