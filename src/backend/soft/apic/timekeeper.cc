#include "backend/soft/apic/timekeeper.h"

#include <sys/prctl.h>

#include <chrono>

#include "base/clock.h"

namespace husk::soft::apic {

Timekeeper::Timekeeper() : thread_([this] { run(); }) {}

Timekeeper::~Timekeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Timekeeper::arm(size_t vcpu, uint64_t deadline_ns) {
  deadlines_[vcpu].store(deadline_ns, std::memory_order_seq_cst);
  const uint64_t waiting = waiting_for_.load(std::memory_order_seq_cst);
  if (deadline_ns == 0 || (waiting != 0 && waiting <= deadline_ns)) return;
  {
    // Taken so that the thread is either before its look at the deadlines or asleep.
    const std::lock_guard lock(mutex_);
  }
  changed_.notify_one();
}

// The thread raises signals with the mutex held.
void Timekeeper::detach(size_t vcpu) {
  const std::lock_guard lock(mutex_);
  deadlines_[vcpu].store(0, std::memory_order_seq_cst);
  signals_[vcpu] = nullptr;
}

uint64_t Timekeeper::fire_due(uint64_t now_ns) {
  uint64_t next = 0;
  for (size_t i = 0; i < kMaxVcpus; ++i) {
    uint64_t deadline = deadlines_[i].load(std::memory_order_seq_cst);
    if (deadline == 0) continue;
    if (deadline <= now_ns) {
      // Disarmed only if it is still the same; a new deadline is looked at in the next round.
      if (deadlines_[i].compare_exchange_strong(deadline, 0) && signals_[i] != nullptr)
        signals_[i]->raise(kSignalInterrupt);
      deadline = deadlines_[i].load(std::memory_order_seq_cst);
      if (deadline == 0) continue;
    }
    if (next == 0 || deadline < next) next = deadline;
  }
  return next;
}

void Timekeeper::run() {
  // The default lets the kernel be 50 us late, which a guest sees as jitter of its timers.
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    uint64_t next = fire_due(base::monotonic_ns());
    waiting_for_.store(next, std::memory_order_seq_cst);
    // Somebody may have armed an earlier one between the look and the store.
    const uint64_t again = fire_due(base::monotonic_ns());
    if (again != next) continue;
    if (next == 0) {
      changed_.wait(lock);
    } else {
      const auto until = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(next));
      changed_.wait_until(lock, until);
    }
  }
}

}  // namespace husk::soft::apic
