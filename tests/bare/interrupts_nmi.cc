// NMIs: by IPI, by LINT0 and by the I/O APIC; what holds them back and what they wake (Intel SDM
// vol. 3, 6.7 and 11.5.1; vol. 2, HLT).
#include "interrupts.h"

namespace bare {
namespace {

volatile uint32_t nmis, nmi_depth, deepest_nmi;
void on_nmi(Frame&) {
  nmis = nmis + 1;
  nmi_depth = nmi_depth + 1;
  if (nmi_depth > deepest_nmi) deepest_nmi = nmi_depth;
  if (nmis == 1) {
    send_ipi(apic(kApicId) >> 24, kIcrNmi);
    for (int i = 0; i < 1000; ++i) pause();
  }
  nmi_depth = nmi_depth - 1;
}

constexpr uint32_t kGsi = 5;

void count_nmi(Frame&) { nmis = nmis + 1; }
void wait_for_nmis(uint32_t wanted) {
  for (int i = 0; i < 100000 && nmis < wanted; ++i) pause();
}

void send_nmi() { send_ipi(apic(kApicId) >> 24, kIcrNmi); }

// An IRET that faults, or any inner one, ends the blocking too.
void on_nmi_with_inner_iret(Frame&) {
  nmis = nmis + 1;
  nmi_depth = nmi_depth + 1;
  if (nmi_depth > deepest_nmi) deepest_nmi = nmi_depth;
  if (nmis == 1) {
    send_nmi();
    catch_trap([] { asm volatile("int3"); });
    asm volatile("int $0x44" ::: "memory");
    wait_for_nmis(2);
  }
  nmi_depth = nmi_depth - 1;
}

// The 8254 by way of the 8259 and LINT0, as watchdogs have it; HLT with IF off.
// The handler takes the request from the 8259, so that the next one makes an edge: should the first
// come before HLT.
void take_request(Frame&) {
  nmis = nmis + 1;
  out8(0x20, 0x0c);
  (void)in8(0x20);
  out8(0x20, 0x20);
}
void check_lint0() {
  set_handler(kNmi, take_request);
  initialise_8259s();
  nmis = 0;
  apic(kApicLvtLint0) = kIcrNmi;
  out8(0x21, 0xfe);
  start_pit(2, 20000);
  asm volatile("hlt" ::: "memory");
  check("LINT0 as NMI ends HLT though IF is 0", nmis > 0);
  start_pit(0, 0);
  set_handler(kNmi, count_nmi);
  apic(kApicLvtLint0) = kLvtMasked;
  out8(0x21, 0xff);
}

void check_pin() {
  nmis = 0;
  set_line(kGsi, false);
  set_pin(kGsi, kIcrNmi);
  set_line(kGsi, true);
  wait_for_nmis(1);
  check_equal("a pin of the I/O APIC as NMI", nmis, 1);
  set_pin(kGsi, kPinMasked);
  set_line(kGsi, false);
}

}  // namespace

void check_nmi() {
  set_handler(kNmi, on_nmi);
  send_nmi();
  wait_for_nmis(2);
  check_equal("an NMI comes though IF is 0, and one more sent meanwhile", nmis, 2);
  check_equal("but not before IRET", deepest_nmi, 1);
  set_handler(kNmi, on_nmi_with_inner_iret);
  set_handler(0x44, [](Frame&) {});
  nmis = deepest_nmi = 0;
  send_nmi();
  wait_for_nmis(2);
  check("any IRET lets the next one in", nmis == 2 && deepest_nmi == 2);
  set_handler(kNmi, count_nmi);
  check_lint0();
  check_pin();
  set_handler(kNmi, nullptr);
}

}  // namespace bare
