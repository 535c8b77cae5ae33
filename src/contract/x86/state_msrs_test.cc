#include "contract/x86/state_msrs.h"

#include <gtest/gtest.h>

namespace husk::contract::x86 {
namespace {

VcpuState state_with(std::vector<Msr> msrs) {
  VcpuState state;
  state.msrs = std::move(msrs);
  state.tsc_khz = 2'600'000;
  return state;
}

TEST(StateMsrs, TheTscShowsTimeByItsRate) {
  VcpuState state = state_with({{kMsrTsc, 2'600}});
  EXPECT_EQ(tsc_ns(state), 1'000U);
  EXPECT_EQ(tsc_ticks(1'000, 2'600'000), 2'600U);
  state.tsc_khz = 0;
  EXPECT_EQ(tsc_ns(state), 0U) << "unknown";
  EXPECT_EQ(tsc_ns(state_with({})), 0U);
}

TEST(StateMsrs, TheLaterClockIsTheTime) {
  VcpuState state = state_with({{kMsrTsc, 2'600}});
  settle_time(state, 500);
  EXPECT_EQ(tsc_ns(state), 1'000U) << "never back";
  settle_time(state, 5'000);
  EXPECT_EQ(tsc_ns(state), 5'000U);
}

TEST(StateMsrs, KvmclockIsTheTimeOfWhoLivesByIt) {
  VcpuState state =
      state_with({{kMsrTsc, 26'000}, {kMsrTscDeadline, 26'100}, {kMsrKvmclock, 0x3001}});
  settle_time(state, 5'000);
  EXPECT_EQ(tsc_ns(state), 5'000U);
  EXPECT_EQ(find_msr(state, kMsrTscDeadline)->value, 13'100U) << "as far away as before";
  state.msrs[1].value = 0;
  settle_time(state, 6'000);
  EXPECT_EQ(find_msr(state, kMsrTscDeadline)->value, 0U) << "disarmed";
}

TEST(StateMsrs, AGuestLivesByKvmclockThatHasNoPromiseOfTheTsc) {
  VcpuState state = state_with({{kMsrKvmclock, 0x3001}});
  EXPECT_TRUE(lives_by_kvmclock(state));
  state.cpuid = {{0x80000007, 0, false, {0, 0, 0, 1u << 8}}};
  EXPECT_FALSE(lives_by_kvmclock(state));
  EXPECT_FALSE(lives_by_kvmclock(state_with({{kMsrKvmclock, 0x3000}}))) << "switched off";
  EXPECT_FALSE(lives_by_kvmclock(state_with({})));
}

}  // namespace
}  // namespace husk::contract::x86
