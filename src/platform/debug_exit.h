// QEMU's isa-debug-exit: a write ends the machine; what was written is the event's code, of which
// QEMU makes (code << 1) | 1 as its process's status.
#pragma once

#include "contract/io_handler.h"
#include "contract/machine_event.h"

namespace husk::platform {

class DebugExit : public contract::IoHandler {
 public:
  static constexpr uint16_t kPorts = 4;
  explicit DebugExit(contract::MachineEventSink& events) : events_(events) {}
  [[nodiscard]] std::string_view name() const override { return "debug-exit"; }
  uint64_t read(uint64_t, uint32_t) override { return 0; }
  void write(uint64_t, uint32_t, uint64_t value) override {
    events_.raise(contract::MachineEvent::kDebugExit, static_cast<uint32_t>(value));
  }

 private:
  contract::MachineEventSink& events_;
};

}  // namespace husk::platform
