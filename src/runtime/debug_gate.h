// What stopped vCPUs that are debugged: their threads tell it, the debugger's thread hears it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "husk/debug.h"

#include "gdb/target.h"
#include "runtime/machine_end.h"

namespace husk::runtime {

// Thread-safe.
class DebugGate {
 public:
  explicit DebugGate(MachineEnd& end) : end_(end) {}

  // On a vCPU's thread: its exit was for a debugger. It holds all vCPUs, unless nobody has asked
  // for that stop: the guest has breakpoint instructions of its own.
  void stopped(uint32_t vcpu, const DebugStop& why);

  // On the debugger's, while vCPUs are held. What they are to stop for from now on.
  void expect(std::vector<gdb::Action> actions, gdb::Points points);
  // Nothing; and stops that were not taken are forgotten.
  void expect_nothing();
  // Stops that were not taken yet and are still ones: of an earlier step, or of a breakpoint that
  // has gone meanwhile, nobody needs to hear.
  [[nodiscard]] bool waiting();
  [[nodiscard]] std::optional<gdb::Stop> take();  // the oldest
  // The vCPU was moved elsewhere.
  void forget(uint32_t vcpu);

  // `listener` is called for stops, and by wake(); it must not call the gate. Null: nobody.
  void set_listener(std::function<void()> listener);
  void wake();

 private:
  [[nodiscard]] bool wanted(const gdb::Stop& stop) const;

  MachineEnd& end_;
  std::mutex mutex_;
  std::vector<gdb::Action> actions_;
  gdb::Points points_;
  std::deque<gdb::Stop> stops_;
  std::function<void()> listener_;
};

}  // namespace husk::runtime
