// The local APIC's timer in its three modes (Intel SDM vol. 3, 11.5.4).
#include "interrupts.h"

namespace bare {
namespace {

constexpr uint8_t kVector = 0x51;

// Ticks that the counter makes in about a million cycles of the TSC.
uint32_t ticks_with_divider(uint32_t divide) {
  apic(kApicDivide) = divide;
  apic(kApicLvtTimer) = kLvtMasked;
  apic(kApicInitialCount) = 0xffffffff;
  const uint64_t start = rdtsc();
  while (rdtsc() - start < 20'000'000) pause();
  const uint32_t ticks = 0xffffffff - apic(kApicCurrentCount);
  apic(kApicInitialCount) = 0;
  return ticks;
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

void check_deadline() {
  if (!has_tsc_deadline()) {
    for (int i = 0; i < 6; ++i) skip("TSC deadline", "CPUID has it not");
    return;
  }
  forget_counts();
  apic(kApicLvtTimer) = kVector | kLvtDeadline;
  asm volatile("mfence" ::: "memory");
  write_msr(kMsrTscDeadline, rdtsc() + 3'000'000);
  check("a deadline is read back", read_msr(kMsrTscDeadline) != 0);
  check("it fires", wait_for(kVector, 1));
  check_equal("and is gone", read_msr(kMsrTscDeadline), 0);
  write_msr(kMsrTscDeadline, 1);
  check("one that has passed fires at once", wait_for(kVector, 2));
  write_msr(kMsrTscDeadline, rdtsc() + 3'000'000);
  write_msr(kMsrTscDeadline, 0);
  const uint64_t start = rdtsc();
  while (rdtsc() - start < 6'000'000) pause();
  open_window();
  check_equal("0 takes it back", taken[kVector], 2);
  apic(kApicInitialCount) = 5000;
  check_equal("the count does not work in this mode", apic(kApicCurrentCount), 0);
  apic(kApicLvtTimer) = kLvtMasked;
}

}  // namespace

void check_timers() {
  count_vector(kVector);
  const uint32_t by_1 = ticks_with_divider(0xb), by_128 = ticks_with_divider(0xa);
  check("the divider divides", by_128 != 0 && by_1 / by_128 > 64 && by_1 / by_128 < 256);
  check_one_shot();
  check_periodic();
  check_deadline();
}

}  // namespace bare
