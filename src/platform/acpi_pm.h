// ACPI fixed hardware (ACPI 6.5, 4.8.3): PM1a event and control blocks and the power-management
// timer. The power button is the only event.
#pragma once

#include <mutex>

#include "contract/io_handler.h"
#include "contract/irq_line.h"
#include "contract/machine_event.h"
#include "contract/state_archive.h"

namespace husk::platform {

// One window of 12 ports: event block at 0, control block at 4, timer at 8. Any width reaches any
// byte of the registers (4.8.3: they are byte, word and dword accessible).
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
  // The timer goes on from where it stood. The interrupt line is the controller's state.
  void transfer_state(contract::StateArchive& state);

 private:
  [[nodiscard]] uint32_t read_block(uint64_t block) const;
  void write_byte(uint64_t offset, uint8_t value);

  [[nodiscard]] uint64_t now() const { return clock_() + ahead_ns_; }
  void update_sci();  // with the lock held, so that the line follows the registers

  std::mutex mutex_;
  contract::MachineEventSink& events_;
  contract::IrqLine sci_;
  Clock clock_;
  uint64_t ahead_ns_ = 0;  // of the clock, modulo 2^64: a restored timer counts from another moment
  uint8_t s5_;
  uint16_t status_ = 0, enable_ = 0, control_ = 1;
};

}  // namespace husk::platform
