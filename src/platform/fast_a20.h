// Port 0x92, system control port A: A20 is always open; bit 0 resets.
#pragma once

#include "contract/machine_event.h"
#include "platform/byte_device.h"

namespace husk::platform {

class FastA20 : public ByteDevice {
 public:
  explicit FastA20(contract::MachineEventSink& events) : events_(events) {}
  [[nodiscard]] std::string_view name() const override { return "fast-a20"; }

 private:
  static constexpr uint8_t kReset = 1, kA20 = 2;

  uint8_t read_byte(uint64_t) override { return kA20; }
  void write_byte(uint64_t, uint8_t value) override {
    if ((value & kReset) != 0) events_.raise(contract::MachineEvent::kReset, 0);
  }

  contract::MachineEventSink& events_;
};

}  // namespace husk::platform
