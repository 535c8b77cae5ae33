// The MC146818 real-time clock: the time of day in UTC, and 128 bytes of CMOS memory. It has no
// interrupts: the guest's clocks tick elsewhere.
#pragma once

#include <array>
#include <mutex>

#include "platform/byte_device.h"

namespace husk::platform {

class CmosRtc : public ByteDevice {
 public:
  using Clock = uint64_t (*)();  // nanoseconds since the Unix epoch
  explicit CmosRtc(Clock clock) : clock_(clock) {}

  [[nodiscard]] std::string_view name() const override { return "rtc"; }

 private:
  uint8_t read_byte(uint64_t offset) override;
  void write_byte(uint64_t offset, uint8_t value) override;
  [[nodiscard]] uint8_t read_register(uint8_t index);
  [[nodiscard]] uint8_t encode(int value) const;

  std::mutex mutex_;
  Clock clock_;
  uint8_t index_ = 0;
  uint8_t control_b_ = 0x02;  // 24 hours, BCD
  std::array<uint8_t, 128> memory_{};
};

}  // namespace husk::platform
