#include "backend/soft/apic/signal.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"

namespace husk::soft::apic {
namespace {

TEST(VcpuSignal, TakesWhatWasRaisedOnce) {
  VcpuSignal signal;
  signal.raise(kSignalInterrupt);
  signal.raise(kSignalExit);
  EXPECT_NE(signal.bits().load(), 0u);
  EXPECT_EQ(signal.take(), kSignalInterrupt | kSignalExit);
  EXPECT_EQ(signal.take(), 0u);
}

TEST(VcpuSignal, ClearsWhatWasNotSeen) {
  VcpuSignal signal;
  signal.raise(kSignalStartup | kSignalInit);
  signal.clear(kSignalStartup);
  EXPECT_EQ(signal.take(), kSignalInit);
}

TEST(VcpuSignal, DoesNotSleepOverASetBit) {
  VcpuSignal signal;
  signal.raise(kSignalNmi);
  signal.wait(0);
  EXPECT_EQ(signal.take(), kSignalNmi);
}

TEST(VcpuSignal, WakesAtTheDeadlineAndLeavesNoMark) {
  VcpuSignal signal;
  const uint64_t deadline = base::monotonic_ns() + 5'000'000;
  while (base::monotonic_ns() < deadline) signal.wait(deadline);
  EXPECT_EQ(signal.bits().load(), 0u);
}

TEST(VcpuSignal, ReturnsAtOnceFromAPastDeadline) {
  VcpuSignal signal;
  signal.wait(1);
  EXPECT_EQ(signal.take(), 0u);
}

// Each side sleeps without a deadline until the other raises: one lost wake-up and the test hangs.
TEST(VcpuSignal, LosesNoWakeUpInPingPong) {
  constexpr int kRounds = 100'000;
  VcpuSignal ping, pong;
  const auto await = [](VcpuSignal& signal) {
    while ((signal.take() & kSignalInterrupt) == 0) signal.wait(0);
  };
  std::thread other([&] {
    for (int i = 0; i < kRounds; ++i) {
      await(ping);
      pong.raise(kSignalInterrupt);
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    ping.raise(kSignalInterrupt);
    await(pong);
  }
  other.join();
  EXPECT_EQ(ping.take() | pong.take(), 0u);
}

}  // namespace
}  // namespace husk::soft::apic
