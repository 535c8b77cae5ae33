#include "platform/cmos_rtc.h"

#include <ctime>

namespace husk::platform {
namespace {

enum Register : uint8_t {
  kSeconds = 0,
  kMinutes = 2,
  kHours = 4,
  kWeekday = 6,
  kDay = 7,
  kMonth = 8,
  kYear = 9,
  kA = 10,
  kB = 11,
  kC = 12,
  kD = 13,
  kCentury = 0x32,
};
constexpr uint8_t kBinary = 4, k24Hours = 2, kUpdateInProgress = 0x80, kValidTime = 0x80,
                  kDivider32k = 0x26;
constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kUpdateNs = 244'000;  // how long before the second the flag stands

}  // namespace

uint8_t CmosRtc::encode(int value) const {
  if ((control_b_ & kBinary) != 0) return value;
  return static_cast<uint8_t>(value / 10 << 4 | value % 10);
}

uint8_t CmosRtc::read_register(uint8_t index) {
  const uint64_t now = clock_();
  const auto seconds = static_cast<time_t>(now / kNsPerSecond);
  tm utc{};
  gmtime_r(&seconds, &utc);
  switch (index) {
    case kSeconds:
      return encode(utc.tm_sec);
    case kMinutes:
      return encode(utc.tm_min);
    case kHours: {
      if ((control_b_ & k24Hours) != 0) return encode(utc.tm_hour);
      const int hour = utc.tm_hour % 12 == 0 ? 12 : utc.tm_hour % 12;
      return encode(hour) | (utc.tm_hour >= 12 ? 0x80 : 0);
    }
    case kWeekday:
      return encode(utc.tm_wday + 1);
    case kDay:
      return encode(utc.tm_mday);
    case kMonth:
      return encode(utc.tm_mon + 1);
    case kYear:
      return encode(utc.tm_year % 100);
    case kCentury:
      return encode((utc.tm_year + 1900) / 100);
    case kA:
      return kDivider32k | (now % kNsPerSecond >= kNsPerSecond - kUpdateNs ? kUpdateInProgress : 0);
    case kB:
      return control_b_;
    case kC:
      return 0;
    case kD:
      return kValidTime;
    default:
      return memory_[index];
  }
}

uint8_t CmosRtc::read_byte(uint64_t offset) {
  const std::lock_guard lock(mutex_);
  return offset == 0 ? 0xff : read_register(index_);
}

void CmosRtc::write_byte(uint64_t offset, uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (offset == 0) {
    index_ = value & 0x7f;  // the top bit masks NMIs, which nothing here raises
  } else if (index_ == kB) {
    control_b_ = value;
  } else {
    memory_[index_] = value;
  }
}

}  // namespace husk::platform
