// When an interrupt that is pending is taken (Intel SDM vol. 2, STI and HLT; vol. 3, 6.8).
#include "interrupts.h"

extern "C" const char window_after_sti[], window_after_hlt[], window_copy[], window_after_copy[];

namespace bare {
namespace {

void self_ipi(uint8_t vector) { apic(kApicIcrLow) = kIcrSelf | kIcrAssert | vector; }
uint64_t address(const char* label) { return reinterpret_cast<uint64_t>(label); }

void check_sti() {
  count_vector(0x41);
  forget_counts();
  self_ipi(0x41);
  asm volatile("sti; cli" ::: "memory");
  check_equal("STI and CLI open no window", taken[0x41], 0);
  uint32_t one = 0;
  asm volatile(
      "sti\n\t"
      "incl %0\n"
      "window_after_sti: nop\n\t"
      "cli"
      : "+r"(one)::"memory");
  check("the instruction behind STI still runs",
        taken[0x41] == 1 && last_frame.rip == address(window_after_sti));
  check("and POPF needs no such grace", [] {
    forget_counts();
    self_ipi(0x41);
    write_flags(read_flags() | kFlagIf);
    disable_interrupts();
    return taken[0x41] == 1;
  }());
  check("IF is in the saved flags, and off inside",
        (last_frame.flags & kFlagIf) != 0 && (read_flags() & kFlagIf) == 0);
}

void check_hlt() {
  forget_counts();
  apic(kApicDivide) = 0xb;
  apic(kApicLvtTimer) = 0x41;
  apic(kApicInitialCount) = 100000;
  asm volatile(
      "sti\n\t"
      "hlt\n"
      "window_after_hlt: cli" ::
          : "memory");
  check("HLT waits for the interrupt, and goes on behind it",
        taken[0x41] == 1 && last_frame.rip == address(window_after_hlt));
  forget_counts();
  self_ipi(0x41);
  asm volatile("sti; hlt; cli" ::: "memory");
  check_equal("what is pending at HLT wakes it at once", taken[0x41], 1);
}

// A long string instruction gives way and goes on where it was.
void check_string() {
  constexpr uint32_t kSize = 8u << 20;
  auto* from = reinterpret_cast<uint8_t*>(16ull << 20);
  auto* to = reinterpret_cast<uint8_t*>(32ull << 20);
  for (uint32_t i = 0; i < kSize; i += 64) from[i] = static_cast<uint8_t>(i >> 6);
  forget_counts();
  apic(kApicLvtTimer) = kLvtPeriodic | 0x41;
  apic(kApicInitialCount) = 20000;
  uint64_t count = kSize, source = 16ull << 20, target = 32ull << 20;
  asm volatile(
      "sti\n"
      "window_copy: rep movsb\n"
      "window_after_copy: cli"
      : "+c"(count), "+S"(source), "+D"(target)::"memory");
  apic(kApicInitialCount) = 0;
  apic(kApicLvtTimer) = kLvtMasked;
  bool same = true;
  for (uint32_t i = 0; i < kSize; i += 64) same = same && to[i] == static_cast<uint8_t>(i >> 6);
  check("REP MOVSB under interrupts copies everything",
        same && count == 0 && source == (16ull << 20) + kSize && target == (32ull << 20) + kSize);
  const bool within = last_frame.rip == address(window_copy) && last_frame.rcx < kSize;
  check("and was interrupted",
        taken[0x41] > 0 && (within || last_frame.rip == address(window_after_copy)));
}

}  // namespace

void check_windows() {
  check_sti();
  check_hlt();
  check_string();
}

}  // namespace bare
