#include "cli/machines/duration.h"

#include <gtest/gtest.h>

namespace husk::cli::machines {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

TEST(Duration, IsSaidRoughly) {
  const auto said = [](uint64_t seconds) { return roughly(seconds * kSecond); };
  EXPECT_EQ(roughly(999'999'999), "Less than a second");
  EXPECT_EQ(said(1), "1 second");
  EXPECT_EQ(said(59), "59 seconds");
  EXPECT_EQ(said(60), "About a minute");
  EXPECT_EQ(said(119), "About a minute");
  EXPECT_EQ(said(120), "2 minutes");
  EXPECT_EQ(said(46 * 60), "46 minutes");
  EXPECT_EQ(said(60 * 60), "About an hour");
  EXPECT_EQ(said(90 * 60), "2 hours");
  EXPECT_EQ(said(47 * 3600), "47 hours");
  EXPECT_EQ(said(48 * 3600), "2 days");
  EXPECT_EQ(said(14 * 86400), "2 weeks");
  EXPECT_EQ(said(61 * 86400), "2 months");
  EXPECT_EQ(said(730 * 86400), "2 years");
  EXPECT_FALSE(roughly(~0ULL).empty());
}

TEST(Moment, ComesBackAsItIsWritten) {
  for (const uint64_t time : {uint64_t{0}, uint64_t{1'795'271'718'000'000'123}}) {
    const auto parsed = parse_moment(timestamp(time).substr(0, 19), 0);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, time / kSecond * kSecond);
  }
  EXPECT_EQ(timestamp(1'795'271'718'000'000'123), "2026-11-21T14:35:18.000000123Z");
  EXPECT_EQ(parse_moment("2026-11-21T14:35:18.000000123Z", 0), 1'795'271'718'000'000'123);
}

TEST(Moment, IsReadInItsForms) {
  const uint64_t now = 1'000'000 * kSecond;
  EXPECT_EQ(parse_moment("12", now), 12 * kSecond);
  EXPECT_EQ(parse_moment("12.5", now), 12 * kSecond + kSecond / 2);
  EXPECT_EQ(parse_moment("10m", now), now - 600 * kSecond);
  EXPECT_EQ(parse_moment("1h30m2.5s", now), now - 5402 * kSecond - kSecond / 2);
  EXPECT_EQ(parse_moment("250ms", now), now - kSecond / 4);
  EXPECT_EQ(parse_moment("9999h", now), 0U) << "before time began";
  EXPECT_EQ(parse_moment("1970-01-02", now), 86400 * kSecond);
  EXPECT_EQ(parse_moment("1970-01-02T01:00:00+01:00", now), 86400 * kSecond);
  EXPECT_EQ(parse_moment("1970-01-01T23:30:00-00:30", now), 86400 * kSecond);
}

TEST(Moment, WhatIsNoneIsRefused) {
  for (const char* text : {"",
                           "x",
                           "-5",

                           "5x",
                           "m",
                           "1h2",
                           "nan",
                           "inf",
                           "1e30",
                           "99999999999999999999",
                           "999999999999h",
                           "2026-13-01",
                           "2026-11-21T",
                           "2026-11-21T25:00:00Z",
                           "2026-11-21T14:35:18+1",
                           "2026-11-21T14:35:18Zx",
                           "1900-01-01",
                           "9999-01-01",
                           "1970-01-01T00:00:00+24:00",
                           "2026-11-21T14:35:18+aa:00"}) {
    const auto moment = parse_moment(text, kSecond);
    EXPECT_FALSE(moment) << text;
  }
}

}  // namespace
}  // namespace husk::cli::machines
