// The local APIC's timer (Intel SDM vol. 3, 11.5.4) as arithmetic on a clock that the caller reads.
// Raises nothing and knows no register layout.
#pragma once

#include <cstdint>

#include "backend/soft/apic/signal.h"

namespace husk::soft {

// Times are CLOCK_MONOTONIC nanoseconds. The timer's input clock is 1 GHz before the divider, the
// guest's TSC is 1 GHz too: TSC = nanoseconds + tsc_offset (modulo 2^64). Owner thread only.
class ApicTimer {
 public:
  enum class Mode : uint8_t { kOneShot = 0, kPeriodic = 1, kTscDeadline = 2 };

  // A guest may ask for a period of nanoseconds; it gets the expiries of its own grid that lie at
  // least this far apart, so that it cannot keep a host thread busy.
  static constexpr uint64_t kMinPeriodNs = 50'000;

  [[nodiscard]] Mode mode() const { return mode_; }
  // To or from TSC-deadline mode disarms (11.5.4.1); between the others the count goes on.
  void set_mode(Mode mode);
  // `divisor` is 1, 2, 4 ... 128; a running count keeps its value.
  void set_divisor(uint32_t divisor, uint64_t now_ns);
  // Starts the count; 0 stops it. Ignored in TSC-deadline mode.
  void set_initial_count(uint32_t count, uint64_t now_ns);
  // As set_initial_count() for a timer that has already counted down to `current` (a restored one).
  void resume(uint32_t initial, uint32_t current, uint64_t now_ns);
  [[nodiscard]] uint32_t current_count(uint64_t now_ns) const;
  [[nodiscard]] uint32_t initial_count() const { return initial_; }

  // IA32_TSC_DEADLINE: 0 disarms; reads 0 once expired and outside of TSC-deadline mode.
  void set_tsc_deadline(uint64_t tsc, uint64_t now_ns);
  [[nodiscard]] uint64_t tsc_deadline() const { return tsc_deadline_; }
  void set_tsc_offset(uint64_t offset, uint64_t now_ns);

  // True when the timer has expired by `now_ns`; a periodic one moves on to its next expiry,
  // however many were missed.
  bool expire(uint64_t now_ns);
  [[nodiscard]] uint64_t deadline() const { return deadline_; }  // kNever when it is not running
  void reset();  // as after INIT; the TSC offset stays

 private:
  [[nodiscard]] uint64_t period() const { return uint64_t{initial_} * divisor_; }
  void aim_at_tsc(uint64_t now_ns);

  Mode mode_ = Mode::kOneShot;
  uint32_t divisor_ = 2;
  uint32_t initial_ = 0;
  uint64_t tsc_deadline_ = 0;
  uint64_t tsc_offset_ = 0;
  uint64_t deadline_ = kNever;
};

}  // namespace husk::soft
