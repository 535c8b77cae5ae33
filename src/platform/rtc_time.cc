#include "platform/rtc_time.h"

#include <ctime>

namespace husk::platform {
namespace {

constexpr uint8_t kPm = 0x80, kAny = 0xc0;
constexpr int64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;

uint8_t encode(int value, RtcFormat format) {
  return static_cast<uint8_t>(format.binary ? value : value / 10 << 4 | value % 10);
}

int decode(uint8_t value, RtcFormat format) {
  return format.binary ? value : (value >> 4) * 10 + (value & 15);
}

uint8_t encode_hour(int hour, RtcFormat format) {
  if (format.hours24) return encode(hour, format);
  const int on_the_dial = hour % 12 == 0 ? 12 : hour % 12;
  return encode(on_the_dial, format) | (hour >= 12 ? kPm : 0);
}

int decode_hour(uint8_t value, RtcFormat format) {
  if (format.hours24) return decode(value, format);
  const int on_the_dial = decode(value & ~kPm, format);
  return on_the_dial % 12 + ((value & kPm) != 0 ? 12 : 0);
}

bool matches(uint8_t alarm, int wanted, int64_t actual) {
  return alarm >= kAny || wanted == actual;
}

}  // namespace

RtcFields rtc_encode(int64_t seconds, RtcFormat format) {
  const auto time = static_cast<time_t>(seconds);
  tm utc{};
  gmtime_r(&time, &utc);
  const int year = utc.tm_year + 1900;
  return {.second = encode(utc.tm_sec, format),
          .minute = encode(utc.tm_min, format),
          .hour = encode_hour(utc.tm_hour, format),
          .weekday = encode(utc.tm_wday + 1, format),
          .day = encode(utc.tm_mday, format),
          .month = encode(utc.tm_mon + 1, format),
          .year = encode(year % 100, format),
          .century = encode(year / 100, format)};
}

int64_t rtc_decode(const RtcFields& fields, RtcFormat format) {
  tm utc{};
  utc.tm_sec = decode(fields.second, format);
  utc.tm_min = decode(fields.minute, format);
  utc.tm_hour = decode_hour(fields.hour, format);
  utc.tm_mday = decode(fields.day, format);
  utc.tm_mon = decode(fields.month, format) - 1;
  utc.tm_year = decode(fields.century, format) * 100 + decode(fields.year, format) - 1900;
  return timegm(&utc);
}

// Goes to the next hour until the hour fits, then to the next minute, then to the second.
std::optional<int64_t> rtc_next_alarm(int64_t after, const RtcAlarm& alarm, RtcFormat format) {
  constexpr int kMostSteps = 300;  // 24 hours, 60 minutes and a second, with room
  const int hour = decode_hour(alarm.hour, format), minute = decode(alarm.minute, format),
            second = decode(alarm.second, format);
  if (alarm.second < kAny && second >= kMinute) return std::nullopt;
  int64_t time = after + 1;
  for (int step = 0; step < kMostSteps; ++step) {
    const int64_t of_day = (time % kDay + kDay) % kDay, of_hour = of_day % kHour,
                  of_minute = of_day % kMinute;
    if (!matches(alarm.hour, hour, of_day / kHour)) {
      time += kHour - of_hour;
    } else if (!matches(alarm.minute, minute, of_hour / kMinute)) {
      time += kMinute - of_minute;
    } else if (!matches(alarm.second, second, of_minute)) {
      time += (second - of_minute + kMinute) % kMinute;
    } else {
      return time;
    }
  }
  return std::nullopt;
}

}  // namespace husk::platform
