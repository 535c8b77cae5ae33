#include "platform/rtc_time.h"

#include <gtest/gtest.h>

namespace husk::platform {
namespace {

constexpr RtcFormat kBcd, kBinary{.binary = true}, kDial{.hours24 = false};
constexpr int64_t kHour = 3600, kDay = 24 * kHour;

TEST(RtcTime, GoesRoundInEveryFormat) {
  for (const RtcFormat format : {kBcd, kBinary, kDial, RtcFormat{true, false}}) {
    for (int64_t seconds = -40 * 365 * kDay; seconds < 200 * 365 * kDay; seconds += 12'345'677) {
      ASSERT_EQ(rtc_decode(rtc_encode(seconds, format), format), seconds);
    }
  }
}

TEST(RtcTime, TwelveHoursBeginWithTwelve) {
  const uint8_t hours[] = {0x12, 0x01, 0x11, 0x92, 0x81, 0x91};
  const int64_t actual[] = {0, 1, 11, 12, 13, 23};
  for (size_t i = 0; i < std::size(hours); ++i) {
    EXPECT_EQ(rtc_encode(actual[i] * kHour, kDial).hour, hours[i]);
  }
}

TEST(RtcTime, LeapDay) {
  const RtcFields fields = rtc_encode(1'709'164'800, kBcd);
  EXPECT_EQ(fields.day, 0x29);
  EXPECT_EQ(fields.month, 0x02);
  EXPECT_EQ(fields.weekday, 5) << "Thursday; Sunday is 1";
}

TEST(RtcAlarm, ComesNextAtItsTimeOfDay) {
  const RtcAlarm alarm{0x15, 0x30, 0x08};
  const int64_t at = 8 * kHour + 30 * 60 + 15;
  EXPECT_EQ(rtc_next_alarm(0, alarm, kBcd), at);
  EXPECT_EQ(rtc_next_alarm(at - 1, alarm, kBcd), at);
  EXPECT_EQ(rtc_next_alarm(at, alarm, kBcd), at + kDay) << "behind, not at";
  EXPECT_EQ(rtc_next_alarm(-kDay, alarm, kBcd), at - kDay);
}

TEST(RtcAlarm, FieldsThatMatchAny) {
  EXPECT_EQ(rtc_next_alarm(100, {0xff, 0xff, 0xff}, kBcd), 101);
  EXPECT_EQ(rtc_next_alarm(100, {0x05, 0xc0, 0xff}, kBcd), 125);
  EXPECT_EQ(rtc_next_alarm(59 * 60 + 30, {0x20, 0x59, 0xff}, kBcd), 60 * 60 + 59 * 60 + 20);
  EXPECT_EQ(rtc_next_alarm(0, {0xff, 0x10, 0x02}, kBcd), 2 * kHour + 600);
}

TEST(RtcAlarm, ImpossibleTimesNeverCome) {
  EXPECT_EQ(rtc_next_alarm(0, {0x60, 0xff, 0xff}, kBcd), std::nullopt);
  EXPECT_EQ(rtc_next_alarm(0, {0xff, 0x99, 0xff}, kBcd), std::nullopt);
  EXPECT_EQ(rtc_next_alarm(0, {0, 0, 0x24}, kBcd), std::nullopt);
  EXPECT_EQ(rtc_next_alarm(0, {0, 0, 30}, kBinary), std::nullopt);
}

// Against a search second by second, as far as two days.
TEST(RtcAlarm, AgreesWithASearchOfEverySecond) {
  for (int i = 0; i < 60; ++i) {
    const RtcAlarm alarm{static_cast<uint8_t>(i % 3 == 0 ? 0xff : i * 7 % 60),
                         static_cast<uint8_t>(i % 4 == 0 ? 0xff : i * 11 % 60),
                         static_cast<uint8_t>(i % 5 == 0 ? 0xff : i * 5 % 24)};
    const int64_t after = i * 1'234'567;
    int64_t time = after + 1;
    const auto fits = [](uint8_t want, int64_t is) { return want >= 0xc0 || want == is; };
    while (!fits(alarm.second, time % 60) || !fits(alarm.minute, time / 60 % 60) ||
           !fits(alarm.hour, time / kHour % 24))
      ++time;
    EXPECT_EQ(rtc_next_alarm(after, alarm, kBinary), time) << i;
  }
}

}  // namespace
}  // namespace husk::platform
