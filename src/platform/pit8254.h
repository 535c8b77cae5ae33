// The 8254 timer (Intel 8254 data sheet) at 1.193182 MHz, with the speaker port that gates its
// third counter. Counter 0 raises IRQ 0 through an alarm; the other two are read by software only.
// Unlike the chip's, a count written to a running rate or square wave generator begins at once.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "contract/alarm.h"
#include "contract/irq_line.h"
#include "contract/x86/irqchip_state.h"
#include "platform/byte_device.h"

namespace husk::platform {

class Pit8254 {
 public:
  using Clock = uint64_t (*)();
  // The shortest period that counter 0 interrupts at; a guest that asks for a shorter one gets
  // several ticks as one. So does a guest whose host was late, but the ticks after keep their beat.
  static constexpr uint64_t kShortestPeriodNs = 100'000;

  Pit8254(contract::AlarmFactory& alarms, contract::IrqLine irq, Clock clock);

  contract::IoHandler& ports() { return ports_; }                    // four, at 0x40
  contract::IoHandler& system_control() { return system_control_; }  // one, at 0x61

  // Counters go on from where they were when the state was captured.
  using State = contract::x86::PitState;
  [[nodiscard]] State capture() const;
  void restore(const State& state);

 private:
  // ns_since_load is looked at only in a captured state.
  struct Counter : contract::x86::PitCounterState {
    uint64_t start_ns = 0;
    uint64_t held_ticks = 0;  // passed when the gate fell
    bool gate = true;

    [[nodiscard]] uint32_t modulus() const { return bcd ? 10'000 : 0x10000; }
  };
  class Ports : public ByteDevice {
   public:
    explicit Ports(Pit8254& pit) : pit_(pit) {}
    [[nodiscard]] std::string_view name() const override { return "pit8254"; }

   private:
    uint8_t read_byte(uint64_t offset) override { return pit_.read(offset); }
    void write_byte(uint64_t offset, uint8_t value) override { pit_.write(offset, value); }

    Pit8254& pit_;
  };
  class SystemControl : public ByteDevice {
   public:
    explicit SystemControl(Pit8254& pit) : pit_(pit) {}
    [[nodiscard]] std::string_view name() const override { return "system-control"; }

   private:
    uint8_t read_byte(uint64_t) override { return pit_.read_control(); }
    void write_byte(uint64_t, uint8_t value) override { pit_.write_control(value); }

    Pit8254& pit_;
  };

  uint8_t read(uint64_t offset);
  void write(uint64_t offset, uint8_t value);
  uint8_t read_control();
  void write_control(uint8_t value);
  void command(uint8_t value);
  void read_back(uint8_t value);
  void write_count(size_t index, uint8_t value);
  uint8_t read_count(Counter& counter);
  void load(size_t index, uint32_t count);
  void start(Counter& counter);
  void latch_count(Counter& counter);
  void latch_status(Counter& counter);
  [[nodiscard]] uint64_t ticks(const Counter& counter) const;
  [[nodiscard]] uint16_t value(const Counter& counter) const;
  [[nodiscard]] bool output(const Counter& counter) const;
  void move_gate(Counter& counter, bool rises);
  void schedule();
  void schedule_single(uint64_t passed_ns);
  void unschedule();
  void expired();

  mutable std::mutex mutex_;
  Clock clock_;
  contract::IrqLine irq_;
  std::array<Counter, 3> counters_;
  uint64_t due_ns_ = 0;  // counter 0's next interrupt, 0 for none
  uint8_t control_ = 0;
  Ports ports_;
  SystemControl system_control_;
  std::unique_ptr<contract::Alarm> alarm_;  // last: its callback uses all of the above
};

}  // namespace husk::platform
