// Interrupts a running vCPU when its APIC timer expires: a timer of the kernel's that signals the
// vCPU's own thread, so that nobody else has to wake for it. A vCPU that sleeps has a deadline of
// its own and needs none of this.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>

#include "husk/error.h"

#include "backend/soft/apic/signal.h"

namespace husk::soft::apic {

// Raises kSignalInterrupt on `signal`, and only within a Scope: whoever steps a vCPU looks at its
// APIC's timer first, so what expires between two scopes is not lost. The signal is SIGRTMIN + 7.
class VcpuTimer {
 public:
  explicit VcpuTimer(VcpuSignal& signal) : signal_(&signal) {}
  ~VcpuTimer();
  VcpuTimer(const VcpuTimer&) = delete;
  VcpuTimer& operator=(const VcpuTimer&) = delete;

  // While the calling thread runs the vCPU. One at a time on a thread.
  class Scope {
   public:
    explicit Scope(VcpuTimer& timer);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

  // In a scope, as the next ones. Once CLOCK_MONOTONIC reaches `deadline_ns`, or somewhat earlier
  // if it was armed for that before: moving a deadline away costs no system call.
  void arm(uint64_t deadline_ns);
  // Before a sleep: not earlier either. 0: not at all.
  void arm_exactly(uint64_t deadline_ns);

  // Why the thread that was in the last scope has no timer.
  [[nodiscard]] const Result<void>& usable() const { return usable_; }

 private:
  void belong_to_this_thread();
  void drop();
  void set(uint64_t deadline_ns);

  VcpuSignal* signal_;
  timer_t timer_{};
  pid_t thread_ = 0;  // that the timer signals; 0: there is none
  uint64_t armed_ns_ = 0;
  Result<void> usable_;
};

}  // namespace husk::soft::apic
