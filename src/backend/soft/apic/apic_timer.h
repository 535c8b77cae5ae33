// The local APIC's timer (Intel SDM vol. 3, 11.5.4) as arithmetic on a clock that the caller reads.
// Raises nothing and knows no register layout.
#pragma once

#include <cstdint>

#include "backend/soft/apic/tsc.h"

namespace husk::soft::apic {

// Times are CLOCK_MONOTONIC nanoseconds, 0 meaning none. The counter's input is 1 GHz before the
// divider.
class ApicTimer {
 public:
  enum class Mode : uint8_t { kOneShot, kPeriodic, kTscDeadline, kReserved };

  // A guest may ask for a period of nanoseconds; it is given those expiries of its grid that lie at
  // least this far apart, so that it cannot keep host threads busy.
  static constexpr uint64_t kMinPeriodNs = 50'000;

  [[nodiscard]] Mode mode() const { return mode_; }
  // Between one-shot and periodic the count goes on; any other change disarms (11.5.4.1).
  void set_mode(Mode mode);
  // `divisor` is 1, 2, 4 ... 128; a running count keeps its value.
  void set_divisor(uint32_t divisor, uint64_t now_ns);
  // Starts the count, 0 stops it. Without effect outside of one-shot and periodic mode.
  void start(uint32_t count, uint64_t now_ns);
  // As start(), for a timer that was saved when it had `current` left: 0 for one-shot is expired.
  void resume(uint32_t initial, uint32_t current, uint64_t now_ns);
  [[nodiscard]] uint32_t initial_count() const { return initial_; }
  [[nodiscard]] uint32_t current_count(uint64_t now_ns) const;

  // IA32_TSC_DEADLINE: 0 disarms; without effect, and 0, outside of TSC-deadline mode; 0 once
  // expired.
  void set_tsc_deadline(uint64_t deadline, const Tsc& tsc, uint64_t now_ns);
  [[nodiscard]] uint64_t tsc_deadline() const { return tsc_deadline_; }
  // The TSC is another one now.
  void retarget(const Tsc& tsc, uint64_t now_ns);

  // True once for each expiry; a periodic timer moves to its next one, those that were missed are
  // one.
  bool expire(uint64_t now_ns);
  [[nodiscard]] uint64_t deadline() const { return deadline_; }
  void reset() { *this = ApicTimer(); }

 private:
  [[nodiscard]] bool counts() const { return mode_ == Mode::kOneShot || mode_ == Mode::kPeriodic; }
  [[nodiscard]] uint64_t period() const { return uint64_t{initial_} * divisor_; }

  Mode mode_ = Mode::kOneShot;
  uint32_t divisor_ = 2;  // the reset value of the Divide Configuration Register
  uint32_t initial_ = 0;
  uint64_t tsc_deadline_ = 0;
  uint64_t deadline_ = 0;
};

}  // namespace husk::soft::apic
