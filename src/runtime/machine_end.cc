#include "runtime/machine_end.h"

#include <chrono>
#include <utility>

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

bool MachineEnd::pause(uint32_t vcpus, uint64_t timeout_ns) {
  std::unique_lock lock(mutex_);
  paused_ = true;
  lock.unlock();
  if (kick_) kick_();
  lock.lock();
  const bool parked = changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns),
                                        [&] { return waiting_ == vcpus || reached(); });
  if (parked) return true;
  paused_ = false;
  changed_.notify_all();
  return false;
}

void MachineEnd::resume() {
  {
    const std::lock_guard lock(mutex_);
    paused_ = false;
  }
  changed_.notify_all();
}

void MachineEnd::wait_while_paused(uint32_t vcpu) {
  std::unique_lock lock(mutex_);
  if (!paused_ || reached()) return;
  ++waiting_;
  changed_.notify_all();
  while (paused_ && !reached()) {
    if (work_ != nullptr && work_for_ == vcpu) {
      (*work_)();  // whoever asked waits for it, and holds nothing meanwhile
      work_ = nullptr;
      changed_.notify_all();
    }
    changed_.wait(lock);
  }
  --waiting_;
}

bool MachineEnd::run_parked(uint32_t vcpu, const std::function<void()>& work) {
  std::unique_lock lock(mutex_);
  if (!paused_ || reached()) return false;
  work_ = &work;
  work_for_ = vcpu;
  changed_.notify_all();
  changed_.wait(lock, [&] { return work_ == nullptr || reached(); });
  return std::exchange(work_, nullptr) == nullptr;
}

}  // namespace husk::runtime
