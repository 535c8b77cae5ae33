// The FADT's reset register (ACPI 6.5, 4.8.3.6), at the port where PCs have it.
#pragma once

#include "contract/machine_event.h"
#include "platform/byte_device.h"

namespace husk::platform {

class ResetPort : public ByteDevice {
 public:
  // Resets when all bits of `value` are written at once.
  ResetPort(contract::MachineEventSink& events, uint8_t value) : events_(events), value_(value) {}
  [[nodiscard]] std::string_view name() const override { return "reset"; }

 private:
  uint8_t read_byte(uint64_t) override { return 0; }
  void write_byte(uint64_t, uint8_t value) override {
    if ((value & value_) == value_) events_.raise(contract::MachineEvent::kReset, 0);
  }

  contract::MachineEventSink& events_;
  uint8_t value_;
};

}  // namespace husk::platform
