// How the MC146818 writes times (data sheet, "time, calendar and alarm locations"): in BCD or
// binary, with 24 hours or 12 and a PM bit. Plain functions; seconds count from the Unix epoch.
#pragma once

#include <cstdint>
#include <optional>

namespace husk::platform {

struct RtcFormat {
  bool binary = false;
  bool hours24 = true;
};

struct RtcFields {
  uint8_t second = 0, minute = 0, hour = 0, weekday = 0, day = 0, month = 0, year = 0, century = 0;
};

[[nodiscard]] RtcFields rtc_encode(int64_t seconds, RtcFormat format);
// Any bytes are some time: what is out of range carries over. The weekday follows from the date.
[[nodiscard]] int64_t rtc_decode(const RtcFields& fields, RtcFormat format);

// An alarm's registers; a value from 0xc0 matches any.
struct RtcAlarm {
  uint8_t second = 0, minute = 0, hour = 0;
};
// The first second behind `after` that the alarm matches; nothing when it never does.
[[nodiscard]] std::optional<int64_t> rtc_next_alarm(int64_t after, const RtcAlarm& alarm,
                                                    RtcFormat format);

}  // namespace husk::platform
