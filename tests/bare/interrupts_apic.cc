// The local APIC: identification, acceptance, errors, priorities (Intel SDM vol. 3, 11.4 to 11.8).
#include "interrupts.h"

namespace bare {
namespace {

void self_ipi(uint8_t vector) { apic(kApicIcrLow) = kIcrSelf | kIcrAssert | vector; }

bool came(uint8_t first, uint8_t second) {
  return order_used == 2 && order[0] == first && order[1] == second;
}

void check_disabled() {
  apic(kApicLvtTimer) = 0x41;
  apic(kApicSvr) = 0xff;
  check("a software-disabled APIC masks its LVT", (apic(kApicLvtTimer) & kLvtMasked) != 0);
  apic(kApicLvtTimer) = 0x41;
  check("and keeps it masked", (apic(kApicLvtTimer) & kLvtMasked) != 0);
  forget_counts();
  self_ipi(0x41);
  open_window();
  check("it accepts nothing", taken[0x41] == 0 && !apic_bit(kApicIrr, 0x41));
  enable_apic();
}

void check_errors() {
  count_vector(5);  // for CPUs that let it through
  count_vector(0x43);
  forget_counts();
  apic(kApicEsr) = 0;
  apic(kApicEsr) = 0;
  check_equal("no error", apic(kApicEsr), 0);
  self_ipi(5);
  check_equal("ESR is latched by a write only", apic(kApicEsr), 0);
  open_window();
  check_equal("no vector 5 comes", taken[5], 0);
  apic(kApicEsr) = 0;
  check("vector 5 is illegal to send or receive", (apic(kApicEsr) & 0x60) != 0);
  apic(kApicEsr) = 0;
  check_equal("and told once", apic(kApicEsr), 0);
  apic(kApicLvtError) = 0x43;
  self_ipi(5);
  open_window();
  check_equal("the LVT's error entry interrupts", taken[0x43], 1);
  apic(kApicLvtError) = kLvtMasked;
  apic(kApicEsr) = 0;
  apic(kApicEsr) = 0;
}

void check_shorthands() {
  count_vector(0x41);
  forget_counts();
  apic(kApicIcrLow) = kIcrOthers | kIcrAssert | 0x41;
  open_window();
  check_equal("there are no others", taken[0x41], 0);
  apic(kApicIcrLow) = kIcrAll | kIcrAssert | 0x41;
  open_window();
  check_equal("all is this one", taken[0x41], 1);
  check_equal("ICR: nothing is under way", apic(kApicIcrLow) >> 12 & 1, 0);
  apic(kApicLdr) = 1u << 24;
  send_ipi(1, kIcrLogical | kIcrLowestPriority | 0x41);
  open_window();
  check_equal("lowest priority of one", taken[0x41], 2);
  apic(kApicLdr) = 0;
}

uint32_t seen_isr, seen_irr, seen_ppr;
void look(Frame&) {
  seen_isr = apic_bit(kApicIsr, 0x41);
  seen_irr = apic_bit(kApicIrr, 0x41);
  seen_ppr = apic(kApicPpr);
  apic(kApicEoi) = 0;
}

void nested(Frame& frame) {
  order[order_used] = static_cast<uint8_t>(frame.vector);
  order_used = order_used + 1;
  self_ipi(0x81);
  self_ipi(0x31);
  open_window();
  order[order_used] = 1;  // still inside
  order_used = order_used + 1;
  apic(kApicEoi) = 0;
}

}  // namespace

void check_local_apic() {
  const uint32_t version = apic(kApicVersion);
  check("version of an integrated APIC", (version & 0xff) >= 0x10 && (version & 0xff) <= 0x15);
  check("at least four LVT entries", (version >> 16 & 0xff) >= 3);
  check_equal("APIC ID as CPUID has it", apic(kApicId) >> 24, cpuid(1).ebx >> 24);
  check_equal("IA32_APIC_BASE: at its place, enabled, boot processor",
              read_msr(kMsrApicBase) & 0xfffff900, 0xfee00900);
  apic(kApicLdr) = 0xff000000;
  check_equal("LDR keeps its top byte", apic(kApicLdr), 0xff000000);
  apic(kApicLdr) = 0;
  check_equal("DFR is flat", apic(kApicDfr), 0xffffffff);
  set_handler(0x41, look);
  self_ipi(0x41);
  check("IRR while interrupts are off", apic_bit(kApicIrr, 0x41) && !apic_bit(kApicIsr, 0x41));
  open_window();
  check("ISR in the handler, IRR no more", seen_isr == 1 && seen_irr == 0);
  check_equal("PPR is its class", seen_ppr & 0xf0, 0x40);
  check("EOI clears ISR", !apic_bit(kApicIsr, 0x41));
  check_equal("and PPR", apic(kApicPpr), 0);
  count_vector(0x41);
  forget_counts();
  self_ipi(0x41);
  self_ipi(0x41);
  open_window();
  open_window();
  check_equal("two requests of a vector are one", taken[0x41], 1);
  apic(kApicEoi) = 0;
  check_equal("EOI of nothing does nothing", apic(kApicPpr), 0);
  check_disabled();
  check_errors();
  check_shorthands();
}

void check_priorities() {
  constexpr uint8_t kVectors[] = {0x31, 0x41, 0x61, 0x81};
  for (const uint8_t vector : kVectors) count_vector(vector);
  forget_counts();
  self_ipi(0x41);
  self_ipi(0x81);
  open_window();
  open_window();
  check("the higher vector first", came(0x81, 0x41));
  set_handler(0x41, nested);
  forget_counts();
  self_ipi(0x41);
  open_window();
  open_window();
  check("a higher class nests, a lower waits for EOI", order_used == 4 && order[0] == 0x41 &&
                                                           order[1] == 0x81 && order[2] == 1 &&
                                                           order[3] == 0x31);
  count_vector(0x41);
  forget_counts();
  apic(kApicTpr) = 0x50;
  check_equal("PPR follows TPR", apic(kApicPpr), 0x50);
  apic(kApicTpr) = 0x5a;
  check_equal("with its lower half", apic(kApicPpr), 0x5a);
  apic(kApicTpr) = 0x50;
  self_ipi(0x41);
  self_ipi(0x61);
  open_window();
  check("TPR holds back its class and below", taken[0x41] == 0 && taken[0x61] == 1);
  check_equal("CR8 is TPR", read_cr8(), 5);
  write_cr8(0);
  check_equal("TPR is CR8", apic(kApicTpr), 0);
  open_window();
  check_equal("what was held back comes", taken[0x41], 1);
  write_cr8(15);
  forget_counts();
  self_ipi(0x81);
  open_window();
  check_equal("CR8 of 15 holds all", taken[0x81], 0);
  write_cr8(0);
  open_window();
  check_equal("until it is lowered", taken[0x81], 1);
  check_fault("CR8 has four bits", BARE_PROBE("mov %[v], %%cr8", [v] "r"(16ull)), kGp, 0);
}

}  // namespace bare
