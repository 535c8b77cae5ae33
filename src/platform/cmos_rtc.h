// The MC146818 real-time clock (Motorola data sheet): the time of day, its interrupts, and 128
// bytes of CMOS memory. It follows the host's clock in UTC; a guest that sets it moves its own
// view.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "contract/alarm.h"
#include "contract/irq_line.h"
#include "contract/state_archive.h"
#include "platform/byte_device.h"
#include "platform/rtc_time.h"

namespace husk::platform {

class CmosRtc : public ByteDevice {
 public:
  using Clock = uint64_t (*)();
  struct Clocks {
    Clock wall = nullptr;       // nanoseconds since the Unix epoch
    Clock monotonic = nullptr;  // the alarms' time
  };

  CmosRtc(contract::AlarmFactory& alarms, contract::IrqLine irq, Clocks clocks);

  [[nodiscard]] std::string_view name() const override { return "rtc"; }
  // The time of day is the host's, also after a restore.
  void transfer_state(contract::StateArchive& state);

 private:
  uint8_t read_byte(uint64_t offset) override;
  void write_byte(uint64_t offset, uint8_t value) override;
  uint8_t read_register();
  void write_register(uint8_t value);
  [[nodiscard]] uint8_t read_control_a() const;
  uint8_t take_flags();
  void write_control(uint8_t& control, uint8_t value);

  [[nodiscard]] RtcFormat format() const;
  [[nodiscard]] bool frozen() const { return set_mode() || divider_reset(); }
  [[nodiscard]] bool set_mode() const;
  [[nodiscard]] bool divider_reset() const;
  [[nodiscard]] uint64_t now() const { return clocks_.wall() + phase_ns_; }
  [[nodiscard]] int64_t seconds(uint64_t now_ns) const;
  void store_time();       // in memory_, where it stands while frozen and can be written
  void resume(bool half);  // goes on from there; `half` a second before the next update

  // Interrupts. Events are noted when somebody looks: the guest, or the alarm for the next one that
  // is enabled.
  [[nodiscard]] bool interrupting() const;
  [[nodiscard]] uint64_t period_number(uint64_t now_ns) const;
  void note_events();
  void schedule();
  [[nodiscard]] uint64_t next_event(uint64_t now_ns) const;
  void expired();

  std::mutex mutex_;
  Clocks clocks_;
  contract::IrqLine irq_;
  uint8_t index_ = 0;
  uint8_t control_a_ = 0x26;  // 32 kHz, 1024 Hz
  uint8_t control_b_ = 0x02;  // 24 hours, BCD
  uint8_t flags_ = 0;
  uint64_t phase_ns_ = 0;  // ahead of the host's seconds
  int64_t offset_s_ = 0;   // and after that
  uint64_t noted_ns_ = 0;  // events until then are in flags_
  std::array<uint8_t, 128> memory_{};
  std::unique_ptr<contract::Alarm> alarm_;  // last: its callback uses all of the above
};

}  // namespace husk::platform
