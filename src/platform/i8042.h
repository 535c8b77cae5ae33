// What is left of the 8042 keyboard controller: its reset line. One port at 0x60, one at 0x64.
//
// The board's FADT says that there is no 8042, so Linux does not probe for one; it still pulses the
// line to reboot ("reboot=k"). The status is that of a controller at rest rather than all ones:
// whoever pulses the line waits first until the input buffer is empty.
#pragma once

#include "contract/machine_event.h"
#include "platform/byte_device.h"

namespace husk::platform {

class I8042 : public ByteDevice {
 public:
  I8042(contract::MachineEventSink& events, bool command_port)
      : events_(events), command_port_(command_port) {}
  [[nodiscard]] std::string_view name() const override { return "i8042"; }

 private:
  static constexpr uint8_t kSelfTested = 0x04, kUnlocked = 0x10, kPulseReset = 0xfe;

  uint8_t read_byte(uint64_t) override { return command_port_ ? kSelfTested | kUnlocked : 0; }
  void write_byte(uint64_t, uint8_t value) override {
    if (command_port_ && value == kPulseReset) events_.raise(contract::MachineEvent::kReset, 0);
  }

  contract::MachineEventSink& events_;
  bool command_port_;
};

}  // namespace husk::platform
