// The I/O APIC (82093AA data sheet, chapter 3; Intel SDM vol. 3, 11.8.5 for EOI).
#include "interrupts.h"

namespace bare {
namespace {

constexpr uint8_t kVector = 0x71;
constexpr uint32_t kGsi = 5, kOtherGsi = 7;  // QEMU has lines of ISA only

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

uint32_t irr_inside, tmr_inside;
uint32_t drop_after;
void on_level(Frame&) {
  taken[kVector] = taken[kVector] + 1;
  irr_inside = entry(kGsi) & kPinRemoteIrr;
  tmr_inside = apic_bit(kApicTmr, kVector);
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
  check_equal("TMR has it as a level", tmr_inside, 1);
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

// What software can write (data sheet, 3.2.4): not delivery status and remote IRR.
void check_registers() {
  ioapic_write(0x10 + kGsi * 2, kPinMasked | kPinLevel | kPinRemoteIrr | 1u << 12 | kVector);
  check_equal("remote IRR and delivery status are read-only", entry(kGsi),
              kPinMasked | kPinLevel | kVector);
  ioapic_write(0x10 + kGsi * 2 + 1, 0x5a000000);
  check_equal("the destination is kept", ioapic_read(0x10 + kGsi * 2 + 1) >> 24, 0x5a);
  ioapic_write(0, 0x07000000);
  check_equal("and so is the ID", ioapic_read(0) >> 24 & 15, 7);
  ioapic_write(0, 0);
}

void check_masked_edge() {
  count_vector(kVector);
  forget_counts();
  set_line(kGsi, false);
  set_pin(kGsi, kVector | kPinMasked);
  set_line(kGsi, true);
  set_pin(kGsi, kVector);
  open_window();
  check_equal("an edge on a masked pin is lost", taken[kVector], 0);
  set_line(kGsi, false);
}

// Two pins, one vector: an EOI ends both, and what is still up comes again.
volatile uint32_t both;
void on_shared(Frame&) {
  both = both + 1;
  set_line(both == 1 ? kGsi : kOtherGsi, false);
  apic(kApicEoi) = 0;
}
void check_shared_vector() {
  set_handler(kVector, on_shared);
  both = 0;
  set_pin(kGsi, kVector | kPinLevel);
  set_pin(kOtherGsi, kVector | kPinLevel);
  set_line(kGsi, true);
  set_line(kOtherGsi, true);
  for (int i = 0; i < 4; ++i) open_window();
  check_equal("levels that share a vector come until both are down", both, 2);
  check("and leave no remote IRR", ((entry(kGsi) | entry(kOtherGsi)) & kPinRemoteIrr) == 0);
  set_pin(kGsi, kPinMasked);
  set_pin(kOtherGsi, kPinMasked);
}

// A level line whose interrupt is neither ended nor dropped: from level to edge and back clears
// remote IRR, as kernels do it that find no EOI register.
void check_stuck() {
  set_handler(kVector, [](Frame&) { taken[kVector] = taken[kVector] + 1; });
  forget_counts();
  set_pin(kGsi, kVector | kPinLevel);
  set_line(kGsi, true);
  open_window();
  check("a level without EOI is pending in remote IRR",
        taken[kVector] == 1 && (entry(kGsi) & kPinRemoteIrr) != 0);
  set_line(kGsi, false);
  set_pin(kGsi, kVector | kPinMasked);
  set_pin(kGsi, kVector | kPinLevel | kPinMasked);
  check_equal("a change to edge clears it", entry(kGsi) & kPinRemoteIrr, 0);
  apic(kApicEoi) = 0;
  set_pin(kGsi, kPinMasked);
}

void check_destinations() {
  count_vector(kVector);
  forget_counts();
  apic(kApicLdr) = 1u << 24;
  const auto send = [](uint32_t destination, uint32_t low) {
    ioapic_write(0x10 + kGsi * 2 + 1, destination << 24);
    ioapic_write(0x10 + kGsi * 2, low | kVector);
    set_line(kGsi, true);
    set_line(kGsi, false);
    open_window();
    return taken[kVector];
  };
  check_equal("a pin to a logical destination", send(1, kIcrLogical), 1);
  check_equal("to another", send(2, kIcrLogical), 1);
  check_equal("to all", send(0xff, 0), 2);
  check_equal("to an ID that is none", send(9, 0), 2);
  check_equal("by lowest priority", send(1, kIcrLogical | kIcrLowestPriority), 3);
  apic(kApicLdr) = 0;
  set_pin(kGsi, kPinMasked);
}

}  // namespace

void check_io_apic() {
  count_vector(kVector);
  check_equal("24 pins", ioapic_read(1) >> 16 & 0xff, 23);
  check("masked after reset", (entry(5) & kPinMasked) != 0);
  check_edge();
  check_level();
  check_registers();
  check_masked_edge();
  check_shared_vector();
  check_stuck();
  check_destinations();
}

}  // namespace bare
