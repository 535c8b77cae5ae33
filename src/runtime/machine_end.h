// How a machine comes to its end, or to a pause, or under a debugger's hold: the one place that
// devices, vCPU threads and callers agree on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

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

  // A debugger's hold is beside the pause: a vCPU waits until both are over. hold() is for all of
  // them, from any thread, a vCPU's too; let_go() for those that are marked, by their numbers.
  void hold();
  void let_go(std::vector<bool> which);
  void let_all_go();
  // Until each of so many vCPUs waits, for whichever reason. False: not within `timeout_ns`.
  [[nodiscard]] bool wait_until_parked(uint32_t vcpus, uint64_t timeout_ns);

  // Runs `work` on the thread of a vCPU that waits. False: it does not, or the machine has ended.
  bool run_parked(uint32_t vcpu, const std::function<void()>& work);

 private:
  [[nodiscard]] bool must_wait(uint32_t vcpu) const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> reached_{false};
  EndReason reason_ = EndReason::kNone;
  uint32_t code_ = 0;
  bool paused_ = false, held_ = false;
  std::vector<bool> free_;  // of those that are held
  uint32_t waiting_ = 0;
  const std::function<void()>* work_ = nullptr;  // for vCPU work_for_
  uint32_t work_for_ = 0;
  std::function<void()> kick_;
};

}  // namespace husk::runtime
