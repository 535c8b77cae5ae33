// What a device can ask of the machine as a whole.
#pragma once

#include <cstdint>

namespace husk::contract {

enum class MachineEvent : uint8_t {
  kPowerOff,   // ACPI S5 or equivalent
  kReset,      // reset register, keyboard controller, triple fault
  kDebugExit,  // isa-debug-exit: `code` is the value that the guest wrote
};

// Thread-safe; returns at once, the machine acts on it at the vCPUs' next exit.
class MachineEventSink {
 public:
  virtual ~MachineEventSink() = default;
  virtual void raise(MachineEvent event, uint32_t code) = 0;
};

}  // namespace husk::contract
