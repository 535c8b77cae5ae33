// ACPI fixed hardware (ACPI 6.5, 4.8.3): PM1a event and control blocks, the power-management timer;
// and the reset port.
#pragma once

#include <atomic>

#include "contract/io_handler.h"
#include "contract/irq_line.h"
#include "contract/machine_event.h"

namespace husk::platform {

// One window of 12 ports: event block at 0, control block at 4, timer at 8.
class AcpiPm : public contract::IoHandler {
 public:
  using Clock = uint64_t (*)();
  static constexpr uint16_t kPorts = 12;

  AcpiPm(contract::MachineEventSink& events, contract::IrqLine sci, Clock clock,
         uint8_t s5_sleep_type)
      : events_(events), sci_(sci), clock_(clock), s5_(s5_sleep_type) {}

  [[nodiscard]] std::string_view name() const override { return "acpi-pm"; }
  uint64_t read(uint64_t offset, uint32_t size) override;
  void write(uint64_t offset, uint32_t size, uint64_t value) override;
  void press_power_button();  // any thread

 private:
  void update_sci();

  contract::MachineEventSink& events_;
  contract::IrqLine sci_;
  Clock clock_;
  uint8_t s5_;
  std::atomic<uint16_t> status_{0}, enable_{0}, control_{1};
};

// The FADT's reset register.
class ResetPort : public contract::IoHandler {
 public:
  ResetPort(contract::MachineEventSink& events, uint8_t value) : events_(events), value_(value) {}
  [[nodiscard]] std::string_view name() const override { return "reset"; }
  uint64_t read(uint64_t, uint32_t) override { return 0; }
  void write(uint64_t, uint32_t, uint64_t value) override {
    if ((value & value_) == value_) events_.raise(contract::MachineEvent::kReset, 0);
  }

 private:
  contract::MachineEventSink& events_;
  uint8_t value_;
};

}  // namespace husk::platform
