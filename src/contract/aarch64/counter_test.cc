#include "contract/aarch64/counter.h"

#include <gtest/gtest.h>

namespace husk::contract::aarch64 {
namespace {

TEST(Aarch64Counter, OfTheSameFrequencyGoesOn) {
  VcpuState state;
  state.counter_hertz = 62'500'000;
  EXPECT_TRUE(check_frequency(state, 62'500'000));
}

TEST(Aarch64Counter, OfAnotherFrequencyIsRefusedNamingBoth) {
  VcpuState state;
  state.counter_hertz = 62'500'000;
  const auto checked = check_frequency(state, 24'000'000);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(checked.error().message(),
            "vCPU state: counts time at 62500000 Hz, this host at 24000000 Hz");
}

TEST(Aarch64Counter, OfUnknownFrequencyIsTakenAsItIs) {
  EXPECT_TRUE(check_frequency(VcpuState{}, 24'000'000));
}

}  // namespace
}  // namespace husk::contract::aarch64
