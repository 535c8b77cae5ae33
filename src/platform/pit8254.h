// The 8254 timer (Intel 8254 data sheet) at 1.193182 MHz, with the speaker port that gates its
// third counter. Counter 0 raises IRQ 0 through an alarm; the other two are read by software only.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "contract/alarm.h"
#include "contract/io_handler.h"
#include "contract/irq_line.h"

namespace husk::platform {

class Pit8254 {
 public:
  using Clock = uint64_t (*)();
  // The shortest period that counter 0 interrupts at; a guest that asks for a shorter one gets
  // ticks together.
  static constexpr uint64_t kShortestPeriodNs = 100'000;

  Pit8254(contract::AlarmFactory& alarms, contract::IrqLine irq, Clock clock);

  contract::IoHandler& ports() { return ports_; }                    // four, at 0x40
  contract::IoHandler& system_control() { return system_control_; }  // one, at 0x61

 private:
  struct Counter {
    uint64_t start_ns = 0;
    uint64_t held_ticks = 0;  // passed when the gate fell
    uint32_t reload = 0x10000;
    uint16_t latch = 0;
    uint8_t mode = 3, access = 3, status = 0;
    bool latched = false, status_latched = false, high_next_read = false, high_next_write = false;
    bool gate = true, held = false, counting = false, bcd = false;
    uint8_t low_byte = 0;
  };
  class Ports : public contract::IoHandler {
   public:
    explicit Ports(Pit8254& pit) : pit_(pit) {}
    [[nodiscard]] std::string_view name() const override { return "pit8254"; }
    uint64_t read(uint64_t offset, uint32_t) override { return pit_.read(offset); }
    void write(uint64_t offset, uint32_t, uint64_t value) override {
      pit_.write(offset, static_cast<uint8_t>(value));
    }

   private:
    Pit8254& pit_;
  };
  class SystemControl : public contract::IoHandler {
   public:
    explicit SystemControl(Pit8254& pit) : pit_(pit) {}
    [[nodiscard]] std::string_view name() const override { return "system-control"; }
    uint64_t read(uint64_t, uint32_t) override { return pit_.read_control(); }
    void write(uint64_t, uint32_t, uint64_t value) override {
      pit_.write_control(static_cast<uint8_t>(value));
    }

   private:
    Pit8254& pit_;
  };

  uint8_t read(uint64_t offset);
  void write(uint64_t offset, uint8_t value);
  uint8_t read_control();
  void write_control(uint8_t value);
  void command(uint8_t value);
  void write_count(size_t index, uint8_t value);
  uint8_t read_count(Counter& counter);
  void load(size_t index, uint32_t count);
  [[nodiscard]] uint64_t ticks(const Counter& counter) const;
  [[nodiscard]] uint16_t value(const Counter& counter) const;
  [[nodiscard]] bool output(const Counter& counter) const;
  void move_gate(Counter& counter, bool rises);
  void schedule();
  void expired();

  std::mutex mutex_;
  Clock clock_;
  contract::IrqLine irq_;
  std::array<Counter, 3> counters_;
  uint8_t control_ = 0;
  Ports ports_;
  SystemControl system_control_;
  std::unique_ptr<contract::Alarm> alarm_;  // last: its callback uses all of the above
};

}  // namespace husk::platform
