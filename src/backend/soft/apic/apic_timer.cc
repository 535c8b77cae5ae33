#include "backend/soft/apic/apic_timer.h"

#include <algorithm>

#include "base/checked.h"

namespace husk::soft::apic {

void ApicTimer::set_mode(Mode mode) {
  if (mode == mode_) return;
  const bool counted = counts();
  mode_ = mode;
  if (counted && counts()) return;
  initial_ = 0;
  tsc_deadline_ = deadline_ = 0;
}

void ApicTimer::set_divisor(uint32_t divisor, uint64_t now_ns) {
  const uint32_t left = current_count(now_ns);
  divisor_ = divisor;
  if (left != 0) deadline_ = now_ns + uint64_t{left} * divisor_;
}

void ApicTimer::start(uint32_t count, uint64_t now_ns) {
  if (!counts()) return;
  initial_ = count;
  deadline_ = count == 0 ? 0 : now_ns + period();
}

void ApicTimer::resume(uint32_t initial, uint32_t current, uint64_t now_ns) {
  start(initial, now_ns);
  if (deadline_ == 0) return;
  if (current != 0) {
    deadline_ = now_ns + uint64_t{std::min(current, initial)} * divisor_;
  } else if (mode_ == Mode::kOneShot) {
    deadline_ = 0;
  }
}

// Rounded up: the count reaches 0 when the timer expires, not before. Where expiries are left out
// the counter still goes around its own period.
uint32_t ApicTimer::current_count(uint64_t now_ns) const {
  if (!counts() || now_ns >= deadline_) return 0;
  const uint64_t left = (deadline_ - now_ns - 1) % period() + 1;
  return static_cast<uint32_t>((left + divisor_ - 1) / divisor_);
}

void ApicTimer::set_tsc_deadline(uint64_t deadline, const Tsc& tsc, uint64_t now_ns) {
  if (mode_ != Mode::kTscDeadline) return;
  tsc_deadline_ = deadline;
  retarget(tsc, now_ns);
}

void ApicTimer::retarget(const Tsc& tsc, uint64_t now_ns) {
  if (mode_ != Mode::kTscDeadline) return;
  if (tsc_deadline_ == 0) {
    deadline_ = 0;
    return;
  }
  const uint64_t left = tsc.ns_until(tsc_deadline_, now_ns);
  deadline_ = std::max<uint64_t>(1, base::checked_add(now_ns, left).value_or(UINT64_MAX));
}

bool ApicTimer::expire(uint64_t now_ns) {
  if (deadline_ == 0 || now_ns < deadline_) return false;
  if (mode_ == Mode::kPeriodic && initial_ != 0) {
    const uint64_t apart = period() < kMinPeriodNs ? kMinPeriodNs : 1;
    const uint64_t steps = (now_ns - deadline_ + apart + period() - 1) / period();
    deadline_ += steps * period();
  } else {
    deadline_ = tsc_deadline_ = 0;
  }
  return true;
}

}  // namespace husk::soft::apic
