// How a machine comes to its end, or to a pause: the one place that devices, vCPU threads and
// callers agree on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

#include "contract/machine_event.h"

namespace husk::runtime {

enum class EndReason : uint8_t {
  kNone,
  kPowerOff,
  kReset,
  kTripleFault,
  kDebugExit,     // code: what the guest wrote
  kStopped,       // asked for from outside
  kBackendError,  // code: the backend's own number
};

// Thread-safe. The first reason stays.
class MachineEnd : public contract::MachineEventSink {
 public:
  // `kick` makes every vCPU look up; set before any vCPU runs.
  void set_kick(std::function<void()> kick) { kick_ = std::move(kick); }

  void raise(contract::MachineEvent event, uint32_t code) override;
  void reach(EndReason reason, uint32_t code);
  [[nodiscard]] bool reached() const { return reached_.load(std::memory_order_acquire); }
  [[nodiscard]] EndReason reason() const { return reason_; }
  [[nodiscard]] uint32_t code() const { return code_; }
  void wait_until_reached();
  // False: not within `timeout_ns`.
  bool wait_for(uint64_t timeout_ns);

  // Pausing: vCPU threads wait in wait_while_paused(); pause() returns when `vcpus` of them do, or
  // the end came. False: some vCPU did not come within `timeout_ns`, and the pause is off again.
  [[nodiscard]] bool pause(uint32_t vcpus, uint64_t timeout_ns);
  void resume();
  void wait_while_paused(uint32_t vcpu);
  // Runs `work` on the thread of a vCPU that waits there. False: none does, the machine has ended.
  bool run_parked(uint32_t vcpu, const std::function<void()>& work);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> reached_{false};
  EndReason reason_ = EndReason::kNone;
  uint32_t code_ = 0;
  bool paused_ = false;
  uint32_t waiting_ = 0;
  const std::function<void()>* work_ = nullptr;  // for vCPU work_for_
  uint32_t work_for_ = 0;
  std::function<void()> kick_;
};

}  // namespace husk::runtime
