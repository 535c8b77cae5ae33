// What came before APICs: the 8259 pair, the 8254, the clock of CMOS (their data sheets).
#include "interrupts.h"

namespace bare {

void start_pit(uint8_t mode, uint16_t count) {
  out8(0x43, static_cast<uint8_t>(0x30 | mode << 1));
  out8(0x40, static_cast<uint8_t>(count));
  out8(0x40, static_cast<uint8_t>(count >> 8));
}

void initialise_8259s() {
  out8(0x4d0, 0);  // edges everywhere: firmware has levels for PCI
  out8(0x4d1, 0);
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
  open_window();
  forget_counts();
  set_pin(2, 0x72);
  start_pit(0, 1000);
  check("mode 0 ends its count", wait_for(0x72, 1));
  for (int i = 0; i < 300'000; ++i) pause();
  open_window();
  check_equal("and interrupts once", taken[0x72], 1);
  set_pin(2, kPinMasked);
  start_pit(2, 0xffff);
  out8(0x43, 0xc2);  // read-back: count and status of counter 0
  const uint8_t status = in8(0x40);
  check_equal("read-back tells access and mode", status & 0x3f, 0x34);
  const uint32_t latched = in8(0x40) | in8(0x40) << 8;
  out8(0x43, 0);
  for (int i = 0; i < 1000; ++i) pause();
  const uint32_t later = in8(0x40) | in8(0x40) << 8;
  check("and a latched count, which goes on meanwhile", later != latched);
  start_pit(0, 0xffff);
  // Counter 2: gated by port 0x61, its output there.
  out8(0x61, static_cast<uint8_t>((in8(0x61) & ~3) | 1));
  out8(0x43, 0xb0);
  out8(0x42, 0xff);
  out8(0x42, 0x7f);
  check("counter 2 in mode 0 starts low", (in8(0x61) & 0x20) == 0);
  const uint16_t before = pit_count(2);
  bool high = false;
  for (int i = 0; i < 3'000'000 && !high; ++i) high = (in8(0x61) & 0x20) != 0;
  check("and ends high", high && before <= 0x7fff);
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

void pulse(uint32_t irq) {
  set_line(irq, true);
  set_line(irq, false);
}

// The rest of OCW2 and OCW3, ICW4's automatic EOI, and the edge/level register.
void check_8259_commands() {
  out8(0x21, 0xff);
  set_line(5, true);
  out8(0x20, 0x0c);
  check_equal("polled, with nothing to serve", in8(0x20) & 0x80, 0);
  out8(0x21, 0xdf);
  disable_interrupts();
  out8(0x20, 0x0c);
  check_equal("polled, with IRQ 5", in8(0x20), 0x85);
  out8(0x20, 0x0b);
  check_equal("which then is in service", in8(0x20), 1 << 5);
  out8(0x20, 0x65);
  check_equal("until its specific EOI", in8(0x20), 0);
  set_line(5, false);
  forget_counts();
  out8(0x4d0, 1 << 5);
  check_equal("a line can be made a level", in8(0x4d0), 1 << 5);
  set_handler(0x25, [](Frame& frame) {
    if (taken[0x25] == 2) set_line(5, false);
    on_8259(frame);
  });
  set_line(5, true);
  open_window();
  open_window();
  check_equal("which comes as long as it stands", taken[0x25], 3);
  set_handler(0x25, on_8259);
  out8(0x4d0, 0);
  // A request that is masked before it is served: nothing, or the spurious IRQ 7 that is not in
  // service.
  set_handler(0x27, [](Frame&) { taken[0x27] = taken[0x27] + 1; });
  forget_counts();
  pulse(5);
  out8(0x21, 0xff);
  open_window();
  out8(0x20, 0x0b);
  check("a request taken back is none, or spurious", taken[0x25] == 0 && in8(0x20) == 0);
  initialise_8259s();
  out8(0x20, 0x11);
  out8(0x21, 0x20);
  out8(0x21, 4);
  out8(0x21, 3);  // automatic EOI
  out8(0x21, 0xdf);
  answer = false;
  forget_counts();
  pulse(5);
  open_window();
  pulse(5);
  open_window();
  check_equal("automatic EOI needs none", taken[0x25], 2);
  initialise_8259s();
  out8(0x21, 0xff);
  answer = true;
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
  check_8259_commands();
  out8(0xa1, 0xff);
  check_equal("masks read back", in8(0x21) << 8 | in8(0xa1), 0xffff);
  apic(kApicLvtLint0) = kLvtMasked;
}

uint8_t cmos(uint8_t index) {
  out8(0x70, index);
  return in8(0x71);
}

void set_cmos(uint8_t index, uint8_t value) {
  out8(0x70, index);
  out8(0x71, value);
}

void check_periodic_clock();

void check_clock() {
  check("CMOS: valid time", (cmos(0x0d) & 0x80) != 0);
  check("BCD, 24 hours", (cmos(0x0b) & 6) == 2);
  const uint8_t second = cmos(0), month = cmos(8);
  check("a second and a month",
        second <= 0x59 && (second & 15) <= 9 && month >= 1 && month <= 0x12);
  set_cmos(0x0b, 0x82);
  set_cmos(0, 0x34);
  set_cmos(2, 0x12);
  for (int i = 0; i < 1000; ++i) pause();
  check("SET: it stands and can be set", cmos(0) == 0x34 && cmos(2) == 0x12);
  // A change of format wants all of them written anew.
  set_cmos(0x0b, 0x86);
  constexpr uint8_t kBinary[][2] = {{0, 34}, {2, 12}, {4, 22}, {6, 1}, {7, 30}, {8, 11}, {9, 25}};
  for (const auto& [index, value] : kBinary) set_cmos(index, value);
  set_cmos(0x0b, 6);
  check("binary: it goes on from there", cmos(0) == 34 || cmos(0) == 35);
  check("with hour and day", cmos(4) == 22 && cmos(7) == 30);
  set_cmos(0x0b, 2);
  check_periodic_clock();
}

// Data sheet, "Periodic interrupt": IRQ 8 stays until register C is read.
void check_periodic_clock() {
  count_vector(0x73);
  set_pin(8, 0x73);
  set_cmos(0x0a, 0x26);  // 1024 Hz
  (void)cmos(0x0c);
  forget_counts();
  set_cmos(0x0b, 0x42);
  check("the periodic interrupt comes", wait_for(0x73, 1));
  for (int i = 0; i < 1'000'000; ++i) pause();
  open_window();
  check_equal("once, until register C is read", taken[0x73], 1);
  check_equal("which says why", cmos(0x0c) & 0xc0, 0xc0);
  check("and lets the next one come", wait_for(0x73, 2));
  set_cmos(0x0b, 2);
  (void)cmos(0x0c);
  check_equal("nothing is left", cmos(0x0c) & 0xc0, 0);
  set_pin(8, kPinMasked);
}

}  // namespace

void check_legacy() {
  check_pit();
  check_8259();
  check_clock();
}

}  // namespace bare
