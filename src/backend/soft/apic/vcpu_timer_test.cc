#include "backend/soft/apic/vcpu_timer.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"

namespace husk::soft::apic {
namespace {

constexpr uint64_t kMs = 1'000'000, kLong = 20'000 * kMs;

// Spins, as a vCPU that runs does, until the signal is raised or `limit_ns` have passed; what was
// raised.
uint32_t await(VcpuSignal& signal, uint64_t limit_ns) {
  const uint64_t end = base::monotonic_ns() + limit_ns;
  uint32_t bits = 0;
  while ((bits = signal.take()) == 0 && base::monotonic_ns() < end) {
  }
  return bits;
}

TEST(VcpuTimer, RaisesAfterTheDeadlineAndOnlyOnce) {
  VcpuSignal signal;
  VcpuTimer timer(signal);
  const VcpuTimer::Scope scope(timer);
  ASSERT_TRUE(timer.usable());
  const uint64_t deadline = base::monotonic_ns() + 3 * kMs;
  timer.arm(deadline);
  EXPECT_EQ(await(signal, kLong), kSignalInterrupt);
  EXPECT_GE(base::monotonic_ns(), deadline);
  EXPECT_EQ(await(signal, 5 * kMs), 0u);
}

TEST(VcpuTimer, AnEarlierDeadlineReplacesAFarOne) {
  VcpuSignal signal;
  VcpuTimer timer(signal);
  const VcpuTimer::Scope scope(timer);
  timer.arm(base::monotonic_ns() + kLong);
  timer.arm(base::monotonic_ns() + 2 * kMs);
  EXPECT_EQ(await(signal, kLong / 2), kSignalInterrupt);
}

// It is woken at the earlier one, looks, and arms again, as attend() does.
TEST(VcpuTimer, ALaterDeadlineIsNotMissedAfterTheEarlierOne) {
  VcpuSignal signal;
  VcpuTimer timer(signal);
  const VcpuTimer::Scope scope(timer);
  const uint64_t start = base::monotonic_ns(), last = start + 8 * kMs;
  timer.arm(start + 3 * kMs);
  timer.arm(last);
  while (base::monotonic_ns() < last) {
    ASSERT_EQ(await(signal, kLong), kSignalInterrupt);
    timer.arm(last);
  }
  EXPECT_LT(base::monotonic_ns(), start + kLong / 2);
}

TEST(VcpuTimer, ExactlyIsNotEarlier) {
  VcpuSignal signal;
  VcpuTimer timer(signal);
  const VcpuTimer::Scope scope(timer);
  timer.arm(base::monotonic_ns() + 2 * kMs);
  timer.arm_exactly(0);
  EXPECT_EQ(await(signal, 6 * kMs), 0u);
  timer.arm(base::monotonic_ns() + 2 * kMs);
  const uint64_t deadline = base::monotonic_ns() + 6 * kMs;
  timer.arm_exactly(deadline);
  EXPECT_EQ(await(signal, kLong), kSignalInterrupt);
  EXPECT_GE(base::monotonic_ns(), deadline);
}

TEST(VcpuTimer, OutsideOfAScopeNothingIsTouched) {
  VcpuSignal gone_on;
  VcpuTimer timer(gone_on);
  {
    VcpuSignal gone;
    VcpuTimer other(gone);
    const VcpuTimer::Scope scope(other);
    other.arm(base::monotonic_ns() + kMs);
  }
  {
    const VcpuTimer::Scope scope(timer);
    timer.arm(base::monotonic_ns() + kMs);
  }
  EXPECT_EQ(await(gone_on, 5 * kMs), 0u);
  const VcpuTimer::Scope scope(timer);
  timer.arm(base::monotonic_ns() + kMs);  // it is not taken for one that is still to come
  EXPECT_EQ(await(gone_on, kLong), kSignalInterrupt);
}

TEST(VcpuTimer, FollowsItsVcpuToAnotherThread) {
  VcpuSignal signal;
  VcpuTimer timer(signal);
  {
    const VcpuTimer::Scope scope(timer);
    timer.arm(base::monotonic_ns() + kLong);
  }
  std::thread([&] {
    const VcpuTimer::Scope scope(timer);
    timer.arm(base::monotonic_ns() + kMs);
    EXPECT_EQ(await(signal, kLong / 2), kSignalInterrupt);
  }).join();
}

TEST(VcpuTimer, EndsASleep) {
  VcpuSignal signal;
  VcpuTimer timer(signal);
  const VcpuTimer::Scope scope(timer);
  for (uint64_t i = 0; i < 2000; ++i) {
    timer.arm(base::monotonic_ns() + i * 37 % 20'000);
    const uint64_t end = base::monotonic_ns() + kLong;
    while (signal.bits() == 0 && base::monotonic_ns() < end) signal.wait(end);
    ASSERT_EQ(signal.take(), kSignalInterrupt) << i;
  }
}

}  // namespace
}  // namespace husk::soft::apic
