// The local APIC's timer in its three modes (Intel SDM vol. 3, 11.5.4).
#include "interrupts.h"

namespace bare {
namespace {

constexpr uint8_t kVector = 0x51;
constexpr uint64_t kSoon =
    60'000'000;  // cycles; more than a busy host lets pass between two writes

void let_pass(uint64_t cycles) {
  const uint64_t start = rdtsc();
  while (rdtsc() - start < cycles) pause();
}

// Ticks that the counter makes in a million cycles of the TSC. A host that took its time between
// the two clocks is asked again.
uint32_t pace_with_divider(uint32_t divide) {
  apic(kApicDivide) = divide;
  apic(kApicLvtTimer) = kLvtMasked;
  for (;;) {
    const uint64_t before = rdtsc();
    apic(kApicInitialCount) = 0xffffffff;
    const uint64_t start = rdtsc();
    while (rdtsc() - start < 20'000'000) pause();
    const uint64_t end = rdtsc();
    const uint64_t ticks = 0xffffffff - apic(kApicCurrentCount);
    const uint64_t after = rdtsc();
    apic(kApicInitialCount) = 0;
    const uint64_t most = after - before, least = end - start;
    if (most - least < least / 20) return static_cast<uint32_t>(ticks * 1'000'000 / most);
  }
}

void check_one_shot() {
  forget_counts();
  apic(kApicDivide) = 0xb;
  apic(kApicLvtTimer) = kVector;
  apic(kApicInitialCount) = 200000;
  check_equal("the initial count reads back", apic(kApicInitialCount), 200000);
  check("a one-shot timer fires", wait_for(kVector, 1));
  check_equal("its count stays 0", apic(kApicCurrentCount), 0);
  for (int i = 0; i < 100000; ++i) pause();
  open_window();
  check_equal("once", taken[kVector], 1);
  apic(kApicLvtTimer) = kVector | kLvtMasked;
  apic(kApicInitialCount) = 1000;
  for (int i = 0; i < 100000 && apic(kApicCurrentCount) != 0; ++i) pause();
  open_window();
  check("masked it counts and does not fire", apic(kApicCurrentCount) == 0 && taken[kVector] == 1);
  apic(kApicLvtTimer) = kVector;
  apic(kApicInitialCount) = 0xffffffff;
  apic(kApicInitialCount) = 0;
  check_equal("a count of 0 stops it", apic(kApicCurrentCount), 0);
}

void check_periodic() {
  forget_counts();
  apic(kApicLvtTimer) = kVector | kLvtPeriodic;
  apic(kApicInitialCount) = 300000;
  check("a periodic timer fires again and again", wait_for(kVector, 5));
  const uint32_t count = apic(kApicCurrentCount);
  check("within its period", count <= 300000);
  apic(kApicInitialCount) = 0;
  open_window();
  forget_counts();
  for (int i = 0; i < 100000; ++i) pause();
  open_window();
  check_equal("until it is stopped", taken[kVector], 0);
}

// What masks, and what changes of mode do.
void check_changes() {
  forget_counts();
  apic(kApicLvtTimer) = kVector | kLvtMasked;
  apic(kApicInitialCount) = 1000;
  for (int i = 0; i < 100000 && apic(kApicCurrentCount) != 0; ++i) pause();
  apic(kApicLvtTimer) = kVector;
  open_window();
  check_equal("what ended while masked is lost", taken[kVector], 0);
  apic(kApicInitialCount) = 0xffffffff;
  const uint32_t before = apic(kApicCurrentCount);
  apic(kApicInitialCount) = 0x10000000;
  check("a new count starts anew", before > 0x10000000 && apic(kApicCurrentCount) <= 0x10000000);
  apic(kApicInitialCount) = 0;
  if (!has_tsc_deadline()) {
    for (int i = 0; i < 2; ++i) skip("TSC deadline", "CPUID has it not");
    return;
  }
  write_msr(kMsrTscDeadline, rdtsc() + 1'000'000);
  check_equal("no deadline in one-shot mode", read_msr(kMsrTscDeadline), 0);
  apic(kApicLvtTimer) = kVector | kLvtDeadline;
  asm volatile("mfence" ::: "memory");
  write_msr(kMsrTscDeadline, rdtsc() + kSoon);
  apic(kApicLvtTimer) = kVector;
  let_pass(2 * kSoon);
  open_window();
  check_equal("leaving the mode disarms it", taken[kVector], 0);
}

// Figure 11-10: each code halves the pace of the one before.
void check_dividers() {
  constexpr uint32_t kCodes[] = {0xb, 0, 1, 2, 3, 8, 9, 0xa};
  uint32_t last = 0;
  bool halves = true;
  for (const uint32_t code : kCodes) {
    const uint32_t pace = pace_with_divider(code);
    if (last != 0 && (last < pace * 18 / 10 || last > pace * 22 / 10)) halves = false;
    last = pace;
  }
  check("the dividers divide by 1, 2, 4 ... 128", halves);
}

void check_deadline() {
  if (!has_tsc_deadline()) {
    for (int i = 0; i < 6; ++i) skip("TSC deadline", "CPUID has it not");
    return;
  }
  forget_counts();
  apic(kApicLvtTimer) = kVector | kLvtDeadline;
  asm volatile("mfence" ::: "memory");
  const uint64_t far = rdtsc() + 1'000'000'000'000;
  write_msr(kMsrTscDeadline, far);
  check_equal("a deadline is read back", read_msr(kMsrTscDeadline), far);
  write_msr(kMsrTscDeadline, rdtsc() + 3'000'000);
  check("it fires", wait_for(kVector, 1));
  check_equal("and is gone", read_msr(kMsrTscDeadline), 0);
  write_msr(kMsrTscDeadline, 1);
  check("one that has passed fires at once", wait_for(kVector, 2));
  write_msr(kMsrTscDeadline, rdtsc() + kSoon);
  write_msr(kMsrTscDeadline, 0);
  let_pass(2 * kSoon);
  open_window();
  check_equal("0 takes it back", taken[kVector], 2);
  apic(kApicInitialCount) = 5000;
  check_equal("the count does not work in this mode", apic(kApicCurrentCount), 0);
  apic(kApicLvtTimer) = kLvtMasked;
}

}  // namespace

void check_timers() {
  count_vector(kVector);
  check_dividers();
  check_one_shot();
  check_periodic();
  check_changes();
  check_deadline();
}

}  // namespace bare
