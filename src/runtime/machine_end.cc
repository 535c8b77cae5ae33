#include "runtime/machine_end.h"

#include <chrono>

namespace husk::runtime {

void MachineEnd::raise(contract::MachineEvent event, uint32_t code) {
  switch (event) {
    case contract::MachineEvent::kPowerOff:
      return reach(EndReason::kPowerOff, code);
    case contract::MachineEvent::kReset:
      return reach(EndReason::kReset, code);
    case contract::MachineEvent::kDebugExit:
      return reach(EndReason::kDebugExit, code);
  }
}

void MachineEnd::reach(EndReason reason, uint32_t code) {
  {
    const std::lock_guard lock(mutex_);
    if (reached_) return;
    reason_ = reason;
    code_ = code;
    reached_.store(true, std::memory_order_release);
  }
  changed_.notify_all();
  if (kick_) kick_();
}

void MachineEnd::wait_until_reached() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return reached(); });
}

bool MachineEnd::wait_for(uint64_t timeout_ns) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] { return reached(); });
}

void MachineEnd::pause(uint32_t vcpus) {
  std::unique_lock lock(mutex_);
  paused_ = true;
  lock.unlock();
  if (kick_) kick_();
  lock.lock();
  changed_.wait(lock, [&] { return waiting_ == vcpus || reached(); });
}

void MachineEnd::resume() {
  {
    const std::lock_guard lock(mutex_);
    paused_ = false;
  }
  changed_.notify_all();
}

void MachineEnd::wait_while_paused() {
  std::unique_lock lock(mutex_);
  if (!paused_ || reached()) return;
  ++waiting_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return !paused_ || reached(); });
  --waiting_;
}

}  // namespace husk::runtime
