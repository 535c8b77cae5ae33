#include "platform/pit8254.h"

#include "platform/pit8254_ticks.h"

namespace husk::platform {
namespace {

uint32_t from_bcd(uint32_t value) {
  return (value >> 12 & 15) * 1000 + (value >> 8 & 15) * 100 + (value >> 4 & 15) * 10 +
         (value & 15);
}
uint16_t to_bcd(uint32_t value) {
  return static_cast<uint16_t>((value / 1000 % 10) << 12 | (value / 100 % 10) << 8 |
                               (value / 10 % 10) << 4 | value % 10);
}

}  // namespace

Pit8254::Pit8254(contract::AlarmFactory& alarms, contract::IrqLine irq, Clock clock)
    : clock_(clock),
      irq_(irq),
      ports_(*this),
      system_control_(*this),
      alarm_(alarms.create_alarm([this] { expired(); })) {
  counters_[2].gate = false;
}

uint64_t Pit8254::ticks(const Counter& counter) const {
  return counter.held ? counter.held_ticks : ns_to_ticks(clock_() - counter.start_ns);
}

uint16_t Pit8254::value(const Counter& counter) const {
  if (!counter.counting) return static_cast<uint16_t>(counter.reload);
  const uint64_t passed = ticks(counter);
  uint64_t left = 0;
  if (counter.mode == 3) {
    left = counter.reload - passed * 2 % counter.reload;  // a square wave counts by two
  } else if (counter.mode == 2) {
    left = counter.reload - passed % counter.reload;
  } else {  // wraps and goes on
    left = counter.reload + counter.modulus() - passed % counter.modulus();
  }
  left %= counter.modulus();
  return counter.bcd ? to_bcd(static_cast<uint32_t>(left)) : static_cast<uint16_t>(left);
}

bool Pit8254::output(const Counter& counter) const {
  if (!counter.counting) return counter.mode != 0;
  if (counter.periodic() && counter.held) return true;
  const uint64_t passed = ticks(counter);
  switch (counter.mode) {
    case 0:
    case 1:
      return passed >= counter.reload;
    case 2:
      return passed % counter.reload != counter.reload - 1;
    case 3:
      return passed % counter.reload < (counter.reload + 1) / 2;
    default:
      return passed != counter.reload;
  }
}

void Pit8254::start(Counter& counter) {
  counter.start_ns = clock_();
  counter.counting = true;
  counter.null_count = false;
  counter.held_ticks = 0;
}

// Modes 1 and 5 load their count when the gate rises, until when a running one goes on.
void Pit8254::load(size_t index, uint32_t count) {
  Counter& counter = counters_[index];
  if (counter.bcd) count = from_bcd(count);
  if (count == 0) count = counter.modulus();
  if (counter.by_edge()) {
    counter.triggered = count;
    counter.armed = counter.null_count = true;
    return;
  }
  counter.reload = count;
  counter.held = !counter.gate;
  start(counter);
  if (index == 0) schedule();
}

void Pit8254::write_count(size_t index, uint8_t value) {
  Counter& counter = counters_[index];
  switch (counter.access) {
    case 1:
      load(index, value);
      return;
    case 2:
      load(index, static_cast<uint32_t>(value) << 8);
      return;
    default:
      break;
  }
  if (!counter.high_next_write) {
    counter.low_byte = value;
    counter.high_next_write = true;
    if (counter.mode == 0) counter.counting = false;  // half a count stops it, its output low
    if (counter.mode == 0 && index == 0) unschedule();
    return;
  }
  counter.high_next_write = false;
  load(index, static_cast<uint32_t>(value) << 8 | counter.low_byte);
}

void Pit8254::latch_count(Counter& counter) {
  if (counter.latched) return;
  counter.latch = value(counter);
  counter.latched = true;
}

void Pit8254::latch_status(Counter& counter) {
  if (counter.status_latched) return;
  counter.status =
      static_cast<uint8_t>((output(counter) ? 0x80 : 0) | (counter.null_count ? 0x40 : 0) |
                           counter.access << 4 | counter.mode << 1 | (counter.bcd ? 1 : 0));
  counter.status_latched = true;
}

// The bits that choose what to latch are active low.
void Pit8254::read_back(uint8_t value) {
  for (size_t i = 0; i < counters_.size(); ++i) {
    if ((value >> (i + 1) & 1) == 0) continue;
    if ((value & 0x20) == 0) latch_count(counters_[i]);
    if ((value & 0x10) == 0) latch_status(counters_[i]);
  }
}

void Pit8254::command(uint8_t value) {
  const size_t index = value >> 6;
  if (index == counters_.size()) return read_back(value);
  Counter& counter = counters_[index];
  const uint8_t access = value >> 4 & 3;
  if (access == 0) return latch_count(counter);
  const bool gate = counter.gate;
  counter = Counter{};
  counter.gate = gate;
  counter.programmed = true;
  counter.access = access;
  counter.mode = value >> 1 & 7;
  if (counter.mode > 5) counter.mode -= 4;  // 6 and 7 are 2 and 3
  counter.bcd = (value & 1) != 0;
  if (index == 0) unschedule();
}

uint8_t Pit8254::read_count(Counter& counter) {
  if (counter.status_latched) {
    counter.status_latched = false;
    return counter.status;
  }
  const uint16_t count = counter.latched ? counter.latch : value(counter);
  const bool high = counter.access == 2 || (counter.access == 3 && counter.high_next_read);
  if (counter.access == 3) counter.high_next_read = !counter.high_next_read;
  if (counter.access != 3 || high) counter.latched = false;
  return static_cast<uint8_t>(high ? count >> 8 : count);
}

uint8_t Pit8254::read(uint64_t offset) {
  const std::lock_guard lock(mutex_);
  return offset == 3 ? 0xff : read_count(counters_[offset]);
}

void Pit8254::write(uint64_t offset, uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (offset == 3) {
    command(value);
  } else {
    write_count(offset, value);
  }
}

// Port 0x61: gate and speaker in bits 0 and 1, error checks that check nothing in 2 and 3, refresh
// toggle in 4, counter 2's output in 5.
uint8_t Pit8254::read_control() {
  const std::lock_guard lock(mutex_);
  const auto refresh = static_cast<uint8_t>(clock_() / 15'085 & 1);
  return static_cast<uint8_t>(control_ | refresh << 4 | (output(counters_[2]) ? 0x20 : 0));
}

void Pit8254::write_control(uint8_t value) {
  const std::lock_guard lock(mutex_);
  Counter& counter = counters_[2];
  const bool gate = (value & 1) != 0;
  if (gate != counter.gate) move_gate(counter, gate);
  counter.gate = gate;
  control_ = value & 0x0f;
}

// A low gate holds the count; a rising one lets modes 0 and 4 go on and starts the others anew.
// Modes 1 and 5 only want the edge.
void Pit8254::move_gate(Counter& counter, bool rises) {
  if (counter.by_edge()) {
    if (!rises || !counter.armed) return;
    counter.reload = counter.triggered;
    return start(counter);
  }
  if (!counter.counting) return;
  if (!rises) {
    counter.held_ticks = ticks(counter);
    counter.held = true;
    return;
  }
  counter.start_ns = clock_() - (counter.periodic() ? 0 : ticks_to_ns(counter.held_ticks));
  counter.held = false;
}

// Interrupts come at multiples of the period since the count was loaded, however late the last was.
void Pit8254::schedule() {
  const Counter& counter = counters_[0];
  uint64_t ticks_to_due = counter.reload;
  if (counter.periodic()) {
    const uint64_t together = ns_to_ticks(kShortestPeriodNs) / counter.reload + 1;
    const uint64_t step = counter.reload * together;
    ticks_to_due = (ticks(counter) / step + 1) * step;
  }
  due_ns_ = counter.start_ns + ticks_to_ns(ticks_to_due);
  alarm_->set(due_ns_);
}

void Pit8254::unschedule() {
  due_ns_ = 0;
  alarm_->cancel();
}

void Pit8254::expired() {
  const std::lock_guard lock(mutex_);
  if (due_ns_ == 0 || clock_() < due_ns_) return;  // rang while a command stopped or moved it
  due_ns_ = 0;
  irq_.pulse();
  if (counters_[0].periodic()) schedule();
}

}  // namespace husk::platform
