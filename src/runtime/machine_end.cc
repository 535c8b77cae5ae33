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
  {
    const std::lock_guard lock(mutex_);
    paused_ = true;
  }
  if (kick_) kick_();
  if (wait_until_parked(vcpus, timeout_ns)) return true;
  resume();
  return false;
}

void MachineEnd::resume() {
  {
    const std::lock_guard lock(mutex_);
    paused_ = false;
  }
  changed_.notify_all();
}

void MachineEnd::hold() {
  {
    const std::lock_guard lock(mutex_);
    held_ = true;
    free_.clear();
  }
  if (kick_) kick_();
}

void MachineEnd::let_go(std::vector<bool> which) {
  {
    const std::lock_guard lock(mutex_);
    free_ = std::move(which);
  }
  changed_.notify_all();
}

void MachineEnd::let_all_go() {
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
  }
  changed_.notify_all();
}

bool MachineEnd::wait_until_parked(uint32_t vcpus, uint64_t timeout_ns) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns),
                           [&] { return waiting_ == vcpus || reached(); });
}

bool MachineEnd::must_wait(uint32_t vcpu) const {
  const bool held = held_ && !(vcpu < free_.size() && free_[vcpu]);
  return (paused_ || held) && !reached();
}

void MachineEnd::wait_while_paused(uint32_t vcpu) {
  std::unique_lock lock(mutex_);
  if (!must_wait(vcpu)) return;
  ++waiting_;
  changed_.notify_all();
  while (must_wait(vcpu)) {
    if (work_ != nullptr && work_for_ == vcpu) {
      (*work_)();  // whoever asked waits for it, and holds nothing meanwhile
      work_ = nullptr;
      changed_.notify_all();
    }
    changed_.wait(lock);
  }
  --waiting_;
}

// One after another: who pauses a machine and who debugs it do not know of each other.
bool MachineEnd::run_parked(uint32_t vcpu, const std::function<void()>& work) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return work_ == nullptr || !must_wait(vcpu); });
  if (!must_wait(vcpu)) return false;
  work_ = &work;
  work_for_ = vcpu;
  changed_.notify_all();
  changed_.wait(lock, [&] { return work_ != &work || !must_wait(vcpu); });
  if (work_ != &work) return true;
  work_ = nullptr;
  changed_.notify_all();
  return false;
}

}  // namespace husk::runtime
