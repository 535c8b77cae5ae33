#include "backend/soft/apic/apic_timer.h"

#include <gtest/gtest.h>

namespace husk::soft::apic {
namespace {

using Mode = ApicTimer::Mode;
constexpr uint64_t kStart = 1'000'000;

TEST(ApicTimer, OneShotCountsDownByTheDividerAndExpiresOnce) {
  ApicTimer timer;
  timer.set_divisor(16, kStart);
  timer.start(1000, kStart);
  EXPECT_EQ(timer.deadline(), kStart + 16'000);
  EXPECT_EQ(timer.current_count(kStart), 1000u);
  EXPECT_EQ(timer.current_count(kStart + 16), 999u);
  EXPECT_EQ(timer.current_count(kStart + 15'999), 1u) << "0 is not shown before the expiry";
  EXPECT_FALSE(timer.expire(kStart + 15'999));
  EXPECT_TRUE(timer.expire(kStart + 16'000));
  EXPECT_EQ(timer.current_count(kStart + 16'000), 0u);
  EXPECT_FALSE(timer.expire(kStart + 99'000));
  EXPECT_EQ(timer.deadline(), 0u);
}

TEST(ApicTimer, PeriodicStaysOnItsGridHoweverLateItIsServed) {
  ApicTimer timer;
  timer.set_divisor(1, kStart);
  timer.set_mode(Mode::kPeriodic);
  timer.start(100'000, kStart);
  EXPECT_TRUE(timer.expire(kStart + 130'000));
  EXPECT_EQ(timer.deadline(), kStart + 200'000);
  EXPECT_TRUE(timer.expire(kStart + 1'000'000));
  EXPECT_EQ(timer.deadline(), kStart + 1'100'000) << "missed expiries are one";
  EXPECT_EQ(timer.current_count(kStart + 1'050'000), 50'000u);
}

TEST(ApicTimer, TinyPeriodIsHeldToTheLeastButKeepsItsGrid) {
  ApicTimer timer;
  timer.set_divisor(1, kStart);
  timer.set_mode(Mode::kPeriodic);
  timer.start(7, kStart);
  ASSERT_TRUE(timer.expire(kStart + 7));
  EXPECT_GE(timer.deadline(), kStart + 7 + ApicTimer::kMinPeriodNs);
  EXPECT_LT(timer.deadline(), kStart + 14 + ApicTimer::kMinPeriodNs);
  EXPECT_EQ((timer.deadline() - kStart) % 7, 0u);
  EXPECT_EQ(timer.current_count(kStart + 14), 7u) << "the count stays within the initial one";
  EXPECT_EQ(timer.current_count(kStart + 16), 5u);
}

TEST(ApicTimer, NewDivisorKeepsTheCount) {
  ApicTimer timer;
  timer.set_divisor(2, kStart);
  timer.start(1000, kStart);
  timer.set_divisor(8, kStart + 1000);
  EXPECT_EQ(timer.current_count(kStart + 1000), 500u);
  EXPECT_EQ(timer.deadline(), kStart + 1000 + 4000);
}

TEST(ApicTimer, ZeroCountStops) {
  ApicTimer timer;
  timer.start(1000, kStart);
  timer.start(0, kStart);
  EXPECT_FALSE(timer.expire(~uint64_t{0}));
}

TEST(ApicTimer, ModeChangesDisarmOnlyAcrossTscDeadline) {
  ApicTimer timer;
  timer.start(1000, kStart);
  timer.set_mode(Mode::kPeriodic);
  EXPECT_EQ(timer.deadline(), kStart + 2000);
  timer.set_mode(Mode::kTscDeadline);
  EXPECT_EQ(timer.deadline(), 0u);
  timer.start(1000, kStart);
  EXPECT_EQ(timer.deadline(), 0u) << "the count register is ignored in TSC-deadline mode";
  timer.set_tsc_deadline(kStart + 50, {}, kStart);
  timer.set_mode(Mode::kOneShot);
  EXPECT_EQ(timer.deadline(), 0u);
  EXPECT_EQ(timer.tsc_deadline(), 0u);
}

TEST(ApicTimer, TscDeadlineFollowsTheTsc) {
  ApicTimer timer;
  timer.set_mode(Mode::kTscDeadline);
  const uint64_t offset = uint64_t{0} - 900'000;  // the guest's clock started at 900'000
  timer.set_tsc_deadline(150'000, {.offset_ns = offset}, kStart);
  EXPECT_EQ(timer.deadline(), kStart + 50'000);
  timer.retarget({.offset_ns = offset + 20'000}, kStart);
  EXPECT_EQ(timer.deadline(), kStart + 30'000);
  timer.retarget({.offset_ns = offset, .adjust = 50'000, .khz = 500'000}, kStart);
  EXPECT_EQ(timer.deadline(), kStart + 100'000) << "half as fast";
  timer.retarget({.offset_ns = offset + 20'000}, kStart);
  EXPECT_EQ(timer.tsc_deadline(), 150'000u);
  EXPECT_TRUE(timer.expire(kStart + 30'000));
  EXPECT_EQ(timer.tsc_deadline(), 0u);
}

TEST(ApicTimer, TscDeadlineExtremes) {
  ApicTimer timer;
  timer.set_tsc_deadline(5, {}, kStart);
  EXPECT_EQ(timer.tsc_deadline(), 0u) << "ignored in one-shot mode";
  timer.set_mode(Mode::kTscDeadline);
  timer.set_tsc_deadline(5, {}, kStart);
  EXPECT_TRUE(timer.expire(kStart)) << "a deadline in the past is due at once";
  timer.set_tsc_deadline(~uint64_t{0}, {.offset_ns = uint64_t{0} - kStart}, kStart);
  EXPECT_EQ(timer.deadline(), ~uint64_t{0}) << "saturates";
  timer.set_tsc_deadline(0, {}, kStart);
  EXPECT_EQ(timer.deadline(), 0u);
}

TEST(ApicTimer, ResumesWhereItWasSaved) {
  ApicTimer timer;
  timer.set_divisor(1, kStart);
  timer.set_mode(Mode::kPeriodic);
  timer.resume(1'000'000, 250'000, kStart);
  EXPECT_EQ(timer.deadline(), kStart + 250'000);
  ASSERT_TRUE(timer.expire(kStart + 250'000));
  EXPECT_EQ(timer.deadline(), kStart + 1'250'000);
  timer.resume(1'000'000, 0, kStart);
  EXPECT_EQ(timer.deadline(), kStart + 1'000'000) << "a periodic timer goes on";
  timer.resume(1000, 5000, kStart);
  EXPECT_EQ(timer.deadline(), kStart + 1000) << "a count above the initial one is not believed";
  timer.set_mode(Mode::kOneShot);
  timer.resume(1000, 0, kStart);
  EXPECT_EQ(timer.deadline(), 0u) << "an expired one-shot stays so";
}

}  // namespace
}  // namespace husk::soft::apic
