// The chipset's part: I/O APIC, the 8259 pair, the 8254 and the clock of CMOS.
#include "interrupts.h"

namespace bare {

void start_pit(uint8_t mode, uint16_t count) {
  out8(0x43, static_cast<uint8_t>(0x30 | mode << 1));
  out8(0x40, static_cast<uint8_t>(count));
  out8(0x40, static_cast<uint8_t>(count >> 8));
}

void initialise_8259s() {
  out8(0x20, 0x11);
  out8(0x21, 0x20);
  out8(0x21, 4);
  out8(0x21, 1);
  out8(0xa0, 0x11);
  out8(0xa1, 0x28);
  out8(0xa1, 2);
  out8(0xa1, 1);
}

namespace {

constexpr uint8_t kVector = 0x71;
constexpr uint32_t kGsi = 5;  // QEMU has lines of ISA only

uint32_t entry(uint32_t pin) { return ioapic_read(0x10 + pin * 2); }

void check_edge() {
  set_line(kGsi, false);
  set_pin(kGsi, kVector);
  forget_counts();
  set_line(kGsi, true);
  open_window();
  open_window();
  check_equal("a rising edge interrupts once", taken[kVector], 1);
  set_line(kGsi, true);
  open_window();
  check_equal("a line that stays up does not", taken[kVector], 1);
  set_line(kGsi, false);
  open_window();
  check_equal("nor one that falls", taken[kVector], 1);
  set_line(kGsi, true);
  open_window();
  check_equal("the next edge does", taken[kVector], 2);
  check("no remote IRR for edges", (entry(kGsi) & kPinRemoteIrr) == 0);
  set_line(kGsi, false);
}

uint32_t irr_inside;
uint32_t drop_after;
void on_level(Frame&) {
  taken[kVector] = taken[kVector] + 1;
  irr_inside = entry(kGsi) & kPinRemoteIrr;
  if (taken[kVector] >= drop_after) set_line(kGsi, false);
  apic(kApicEoi) = 0;
}

void check_level() {
  set_handler(kVector, on_level);
  set_pin(kGsi, kVector | kPinLevel);
  forget_counts();
  drop_after = 3;
  set_line(kGsi, true);
  check("a level interrupts until it falls", wait_for(kVector, 3));
  open_window();
  check_equal("and no longer", taken[kVector], 3);
  check("remote IRR stands until EOI", irr_inside != 0 && (entry(kGsi) & kPinRemoteIrr) == 0);
  set_pin(kGsi, kVector | kPinLevel | kPinMasked);
  set_line(kGsi, true);
  open_window();
  check_equal("a masked pin is silent", taken[kVector], 3);
  drop_after = 4;
  set_pin(kGsi, kVector | kPinLevel);
  check("unmasking lets a level in", wait_for(kVector, 4));
  set_pin(kGsi, kPinMasked);
  count_vector(kVector);
}

uint16_t pit_count(uint8_t counter) {
  out8(0x43, static_cast<uint8_t>(counter << 6));
  const uint16_t low = in8(static_cast<uint16_t>(0x40 + counter));
  return static_cast<uint16_t>(low | in8(static_cast<uint16_t>(0x40 + counter)) << 8);
}

void check_pit() {
  count_vector(0x72);
  forget_counts();
  set_pin(2, 0x72);
  start_pit(2, 2000);
  check("counter 0 as rate generator, on pin 2 of the I/O APIC", wait_for(0x72, 5));
  const uint16_t count = pit_count(0);
  check("counts down from its reload value", count >= 1 && count <= 2000);
  set_pin(2, kPinMasked);
  start_pit(0, 0xffff);
  // Counter 2: gated by port 0x61, its output there.
  out8(0x61, static_cast<uint8_t>((in8(0x61) & ~3) | 1));
  out8(0x43, 0xb0);
  out8(0x42, 0xff);
  out8(0x42, 0x0f);
  check("counter 2 in mode 0 starts low", (in8(0x61) & 0x20) == 0);
  const uint16_t before = pit_count(2);
  bool high = false;
  for (int i = 0; i < 3'000'000 && !high; ++i) high = (in8(0x61) & 0x20) != 0;
  check("and ends high", high && before <= 0x0fff);
  out8(0x61, in8(0x61) & ~1);
  out8(0x43, 0xb0);
  out8(0x42, 0x10);
  out8(0x42, 0);
  for (int i = 0; i < 10000; ++i) pause();
  check("without its gate it stands", (in8(0x61) & 0x20) == 0);
}

volatile bool answer;  // with an EOI
void on_8259(Frame& frame) {
  const auto vector = static_cast<uint8_t>(frame.vector);
  taken[vector] = taken[vector] + 1;
  if (!answer) return;
  if (vector >= 0x28) out8(0xa0, 0x20);
  out8(0x20, 0x20);
}

void check_8259() {
  initialise_8259s();
  out8(0x21, 0xff & ~(1 << 5 | 1 << 2 | 1 << 3));
  out8(0xa1, 0xff & ~(1 << 2));
  constexpr uint8_t kVectors[] = {0x23, 0x25, 0x2a};
  for (const uint8_t vector : kVectors) set_handler(vector, on_8259);
  apic(kApicLvtLint0) = kLvtExtInt;
  answer = true;
  forget_counts();
  set_line(5, true);
  open_window();
  check_equal("IRQ 5 by way of LINT0", taken[0x25], 1);
  open_window();
  check_equal("its line still up is no new edge", taken[0x25], 1);
  set_line(5, false);
  set_line(10, true);
  open_window();
  check_equal("IRQ 10 through the cascade", taken[0x2a], 1);
  set_line(10, false);
  answer = false;
  set_line(5, true);
  open_window();
  out8(0x20, 0x0b);
  check_equal("in service until EOI", in8(0x20), 1 << 5);
  set_line(5, false);
  set_line(5, true);
  open_window();
  check_equal("which holds it back", taken[0x25], 2);
  answer = true;
  set_line(3, true);
  open_window();
  check_equal("but not IRQ 3, which is above", taken[0x23], 1);
  set_line(3, false);
  out8(0x20, 0x20);
  open_window();
  check_equal("EOI lets it in", taken[0x25], 3);
  set_line(5, false);
  out8(0x21, 0xff);
  set_line(5, true);
  open_window();
  check_equal("masked", taken[0x25], 3);
  out8(0x20, 0x0a);
  check_equal("but requested", in8(0x20) & 1 << 5, 1 << 5);
  set_line(5, false);
  out8(0xa1, 0xff);
  check_equal("masks read back", in8(0x21) << 8 | in8(0xa1), 0xffff);
  apic(kApicLvtLint0) = kLvtMasked;
}

uint8_t cmos(uint8_t index) {
  out8(0x70, index);
  return in8(0x71);
}

void check_clock() {
  check("CMOS: valid time", (cmos(0x0d) & 0x80) != 0);
  check("BCD, 24 hours", (cmos(0x0b) & 6) == 2);
  const uint8_t second = cmos(0), month = cmos(8);
  check("a second and a month",
        second <= 0x59 && (second & 15) <= 9 && month >= 1 && month <= 0x12);
}

}  // namespace

void check_io_apic() {
  count_vector(kVector);
  check_equal("24 pins", ioapic_read(1) >> 16 & 0xff, 23);
  check("masked after reset", (entry(5) & kPinMasked) != 0);
  check_edge();
  check_level();
}

void check_legacy() {
  check_pit();
  check_8259();
  check_clock();
}

}  // namespace bare
