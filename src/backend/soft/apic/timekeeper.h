// The thread that tells running vCPUs that their timer has expired.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "backend/soft/apic/signal.h"

namespace husk::soft {

// One per machine. Sleeps until the earliest deadline of its alarms and raises kTimer on the vCPU
// that armed it. Guests re-arm far more often than timers expire, so arming is one store, and a
// system call only where the new deadline is earlier than the one that the thread already sleeps
// for.
class Timekeeper {
 public:
  // One vCPU's deadline. arm() belongs to the vCPU's thread; the alarm lives as long as the
  // timekeeper.
  class Alarm {
   public:
    Alarm(Timekeeper& keeper, VcpuSignal& signal) : keeper_(keeper), signal_(signal) {}
    // Replaces the deadline (CLOCK_MONOTONIC ns; kNever disarms). Once it is reached kTimer is
    // raised, once.
    void arm(uint64_t deadline_ns);
    [[nodiscard]] uint64_t deadline() const { return deadline_.load(std::memory_order_relaxed); }

   private:
    friend class Timekeeper;
    Timekeeper& keeper_;
    VcpuSignal& signal_;
    std::atomic<uint64_t> deadline_{kNever};
  };

  Timekeeper() = default;
  Timekeeper(const Timekeeper&) = delete;
  Timekeeper& operator=(const Timekeeper&) = delete;
  ~Timekeeper() { stop(); }

  // Before start(). `signal` outlives the timekeeper.
  Alarm& add(VcpuSignal& signal);
  void start();
  void stop();  // idempotent; alarms no longer fire afterwards

 private:
  void run();
  void notify();
  uint64_t earliest() const;
  void fire_due(uint64_t now_ns);

  std::vector<std::unique_ptr<Alarm>> alarms_;
  std::atomic<uint64_t> sleeping_until_{
      0};  // 0: awake, it will look at every alarm before it sleeps
  std::mutex mutex_;
  std::condition_variable changed_;
  bool poked_ = false;     // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace husk::soft
