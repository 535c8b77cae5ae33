#include "backend/soft/apic/timekeeper.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace husk::soft::apic {
namespace {

// Sleeps until the signal is raised or `limit_ns` have passed; what was raised.
uint32_t await(VcpuSignal& signal, uint64_t limit_ns) {
  const uint64_t end = base::monotonic_ns() + limit_ns;
  uint32_t bits = 0;
  while ((bits = signal.take()) == 0 && base::monotonic_ns() < end) signal.wait(end);
  return bits;
}

constexpr uint64_t kMs = 1'000'000, kLong = 20'000 * kMs;

TEST(Timekeeper, RaisesAfterTheDeadlineAndOnlyOnce) {
  VcpuSignal signal;
  Timekeeper keeper;
  keeper.attach(0, signal);
  const uint64_t deadline = base::monotonic_ns() + 3 * kMs;
  keeper.arm(0, deadline);
  EXPECT_EQ(await(signal, kLong), kSignalInterrupt);
  EXPECT_GE(base::monotonic_ns(), deadline);
  EXPECT_EQ(await(signal, 5 * kMs), 0u);
}

TEST(Timekeeper, AnEarlierDeadlineReplacesAFarOne) {
  VcpuSignal signal;
  Timekeeper keeper;
  keeper.attach(3, signal);
  keeper.arm(3, base::monotonic_ns() + kLong);
  keeper.arm(3, base::monotonic_ns() + 2 * kMs);
  EXPECT_EQ(await(signal, kLong / 2), kSignalInterrupt);
}

TEST(Timekeeper, ALaterDeadlineIsNotMissedAfterTheEarlierWakeUp) {
  VcpuSignal signal;
  Timekeeper keeper;
  keeper.attach(0, signal);
  const uint64_t start = base::monotonic_ns();
  keeper.arm(0, start + 3 * kMs);
  keeper.arm(0, start + 8 * kMs);
  EXPECT_EQ(await(signal, kLong), kSignalInterrupt);
  EXPECT_GE(base::monotonic_ns(), start + 8 * kMs);
}

TEST(Timekeeper, DisarmedAndDetachedVcpusAreLeftAlone) {
  VcpuSignal disarmed, detached;
  Timekeeper keeper;
  keeper.attach(0, disarmed);
  keeper.attach(1, detached);
  const uint64_t deadline = base::monotonic_ns() + 3 * kMs;
  keeper.arm(0, deadline);
  keeper.arm(1, deadline);
  keeper.arm(0, 0);
  keeper.detach(1);
  EXPECT_EQ(await(disarmed, 8 * kMs), 0u);
  EXPECT_EQ(detached.take(), 0u);
}

// An arm that the thread misses while it goes to sleep would hang here.
TEST(Timekeeper, MissesNoArm) {
  VcpuSignal signals[2];
  Timekeeper keeper;
  keeper.attach(0, signals[0]);
  keeper.attach(1, signals[1]);
  for (uint64_t i = 0; i < 5000; ++i) {
    const size_t vcpu = i & 1;
    keeper.arm(vcpu, base::monotonic_ns() + i * 37 % 20'000);
    ASSERT_EQ(await(signals[vcpu], kLong), kSignalInterrupt) << i;
  }
}

}  // namespace
}  // namespace husk::soft::apic
