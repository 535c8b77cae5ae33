#include "backend/soft/apic/tsc.h"

#include <gtest/gtest.h>

namespace husk::soft::apic {
namespace {

constexpr uint64_t kStart = 1'000'000, kYear = 31'536'000'000'000'000;

TEST(Tsc, CountsNanosecondsUnlessToldOtherwise) {
  const Tsc tsc{.offset_ns = 500 - kStart, .adjust = 7};
  EXPECT_EQ(tsc.at(kStart), 507U);
  EXPECT_EQ(tsc.at(kStart + 1000), 1507U);
  EXPECT_EQ(tsc.ns_until(1507, kStart), 1000U);
  EXPECT_EQ(tsc.ns_until(507, kStart), 0U);
  EXPECT_EQ(tsc.ns_until(1, kStart), 0U) << "over";
}

TEST(Tsc, CountsAtAnotherProcessorsRate) {
  const Tsc tsc{.offset_ns = uint64_t{0} - kStart, .adjust = uint64_t{0} - 100, .khz = 2'600'000};
  EXPECT_EQ(tsc.at(kStart + 1'000), 2'500U);
  EXPECT_EQ(tsc.ns_until(5'100, kStart + 1'000), 1'000U);
  EXPECT_EQ(tsc.ns_until(5'101, kStart + 1'000), 1'001U) << "not before";
}

TEST(Tsc, HoldsForYears) {
  const Tsc tsc{.khz = 3'999'999};
  EXPECT_EQ(tsc.at(10 * kYear), 10 * kYear / 1'000'000 * 3'999'999);
  EXPECT_EQ(tsc.ns_until(tsc.at(20 * kYear), 10 * kYear), 10 * kYear);
}

TEST(Tsc, WhatNeverComesSaturates) {
  const Tsc slowest{.khz = 1};
  EXPECT_EQ(slowest.ns_until(~uint64_t{0}, 0), ~uint64_t{0});
}

}  // namespace
}  // namespace husk::soft::apic
