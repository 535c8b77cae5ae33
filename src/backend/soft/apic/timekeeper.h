// Wakes running vCPUs when their APIC timers expire: one thread a machine, asleep until the
// earliest deadline. A vCPU that halts sleeps to its own deadline and needs none of this.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "backend/soft/apic/signal.h"

namespace husk::soft::apic {

class Timekeeper {
 public:
  static constexpr size_t kMaxVcpus = 64;

  Timekeeper();
  ~Timekeeper();
  Timekeeper(const Timekeeper&) = delete;
  Timekeeper& operator=(const Timekeeper&) = delete;

  // `signal` stays until detach(), or until the timekeeper is gone.
  void attach(size_t vcpu, VcpuSignal& signal) { signals_[vcpu] = &signal; }
  // Disarms; when it returns the signal is no longer touched.
  void detach(size_t vcpu);
  // Raises kSignalInterrupt on the vCPU once CLOCK_MONOTONIC reaches `deadline_ns`; 0 disarms. A
  // deadline later than the one that the thread waits for costs no system call: the thread finds it
  // when it wakes.
  void arm(size_t vcpu, uint64_t deadline_ns);

 private:
  void run();
  uint64_t fire_due(uint64_t now_ns);  // returns the next deadline, 0 for none

  std::array<std::atomic<uint64_t>, kMaxVcpus> deadlines_{};
  std::array<VcpuSignal*, kMaxVcpus> signals_{};
  std::atomic<uint64_t> waiting_for_{0};  // what the thread sleeps to; 0: for a notification only
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace husk::soft::apic
