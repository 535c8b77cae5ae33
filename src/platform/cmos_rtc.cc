#include "platform/cmos_rtc.h"

#include <algorithm>
#include <cstdlib>

namespace husk::platform {
namespace {

enum Register : uint8_t {
  kSeconds = 0,
  kSecondsAlarm = 1,
  kMinutes = 2,
  kMinutesAlarm = 3,
  kHours = 4,
  kHoursAlarm = 5,
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
constexpr uint8_t kUpdateInProgress = 0x80;                         // A
constexpr uint8_t kSet = 0x80, kBinary = 4, k24Hours = 2;           // B
constexpr uint8_t kPeriodic = 0x40, kAlarm = 0x20, kUpdate = 0x10;  // B: enables; C: flags
constexpr uint8_t kInterrupts = kPeriodic | kAlarm | kUpdate, kRequest = 0x80;  // C
constexpr uint8_t kValidTime = 0x80;                                            // D

constexpr uint64_t kNsPerSecond = 1'000'000'000, kCrystalHz = 32768;
constexpr int64_t kFarthestOffsetS = int64_t{1} << 41;  // beyond any century that fits
constexpr uint64_t kUpdateNs = 244'000;  // how long before the second the flag stands
// The alarm runs by another clock than the one that the guest reads and the host may set.
constexpr uint64_t kLongestWaitNs = 60 * kNsPerSecond;

// Names of the fields' places, in one list for both directions.
template <class Fields, class Visit>
void each_field(Fields& fields, Visit&& visit) {
  visit(kSeconds, fields.second);
  visit(kMinutes, fields.minute);
  visit(kHours, fields.hour);
  visit(kWeekday, fields.weekday);
  visit(kDay, fields.day);
  visit(kMonth, fields.month);
  visit(kYear, fields.year);
  visit(kCentury, fields.century);
}

bool is_time(uint8_t index) {
  RtcFields fields;
  bool found = false;
  each_field(fields, [&](uint8_t place, uint8_t) { found = found || place == index; });
  return found;
}

// The divider's ticks between two periodic interrupts; 0 for none (data sheet, table 5).
uint64_t period_ticks(uint8_t control_a) {
  const uint8_t rate = control_a & 15;
  if (rate == 0) return 0;
  return uint64_t{1} << (rate < 3 ? rate + 6 : rate - 1);
}

uint64_t to_crystal(uint64_t ns) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(ns) * kCrystalHz / kNsPerSecond);
}
uint64_t from_crystal(uint64_t ticks) {
  return static_cast<uint64_t>(
      (static_cast<unsigned __int128>(ticks) * kNsPerSecond + kCrystalHz - 1) / kCrystalHz);
}

}  // namespace

CmosRtc::CmosRtc(contract::AlarmFactory& alarms, contract::IrqLine irq, Clocks clocks)
    : clocks_(clocks),
      irq_(irq),
      noted_ns_(clocks.wall()),
      alarm_(alarms.create_alarm([this] { expired(); })) {}

RtcFormat CmosRtc::format() const {
  return {.binary = (control_b_ & kBinary) != 0, .hours24 = (control_b_ & k24Hours) != 0};
}

bool CmosRtc::set_mode() const { return (control_b_ & kSet) != 0; }

bool CmosRtc::divider_reset() const { return (control_a_ & 0x60) == 0x60; }

int64_t CmosRtc::seconds(uint64_t now_ns) const {
  return static_cast<int64_t>(now_ns / kNsPerSecond) + offset_s_;
}

void CmosRtc::store_time() {
  RtcFields fields = rtc_encode(seconds(now()), format());
  each_field(fields, [&](uint8_t place, uint8_t value) { memory_[place] = value; });
}

void CmosRtc::resume(bool half) {
  RtcFields fields;
  each_field(fields, [&](uint8_t place, uint8_t& value) { value = memory_[place]; });
  if (half) phase_ns_ = (kNsPerSecond * 3 / 2 - clocks_.wall() % kNsPerSecond) % kNsPerSecond;
  offset_s_ = 0;
  offset_s_ = rtc_decode(fields, format()) - seconds(now());
  noted_ns_ = now();
}

uint8_t CmosRtc::read_control_a() const {
  const bool updating = !frozen() && now() % kNsPerSecond >= kNsPerSecond - kUpdateNs;
  return control_a_ | (updating ? kUpdateInProgress : 0);
}

uint8_t CmosRtc::take_flags() {
  note_events();
  const uint8_t flags = flags_ | (interrupting() ? kRequest : 0);
  flags_ = 0;
  schedule();
  return flags;
}

uint8_t CmosRtc::read_register() {
  switch (index_) {
    case kA:
      return read_control_a();
    case kB:
      return control_b_;
    case kC:
      return take_flags();
    case kD:
      return kValidTime;
    default:
      if (is_time(index_) && !frozen()) store_time();
      return memory_[index_];
  }
}

// The divider's release is half a second before the next update (data sheet, "divider control").
void CmosRtc::write_control(uint8_t& control, uint8_t value) {
  const bool was_frozen = frozen(), was_reset = divider_reset();
  if (!was_frozen) store_time();
  control = value;
  if (set_mode()) control_b_ &= static_cast<uint8_t>(~kUpdate);
  if (was_frozen && !frozen()) resume(was_reset);
}

void CmosRtc::write_register(uint8_t value) {
  note_events();
  switch (index_) {
    case kA:
      write_control(control_a_, value & 0x7f);
      break;
    case kB:
      write_control(control_b_, value);
      break;
    case kC:
    case kD:
      break;
    default:
      if (is_time(index_) && !frozen()) store_time();
      memory_[index_] = value;
      if (is_time(index_) && !frozen()) resume(false);
      break;
  }
  schedule();
}

uint8_t CmosRtc::read_byte(uint64_t offset) {
  const std::lock_guard lock(mutex_);
  return offset == 0 ? 0xff : read_register();
}

void CmosRtc::write_byte(uint64_t offset, uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (offset == 0) {
    index_ = value & 0x7f;  // the top bit masks NMIs, which nothing here raises
  } else {
    write_register(value);
  }
}

bool CmosRtc::interrupting() const { return (flags_ & control_b_ & kInterrupts) != 0; }

uint64_t CmosRtc::period_number(uint64_t now_ns) const {
  const uint64_t ticks = period_ticks(control_a_);
  return ticks == 0 ? 0 : to_crystal(now_ns) / ticks;
}

void CmosRtc::note_events() {
  const uint64_t now_ns = now();
  const uint64_t since = std::min(noted_ns_, now_ns);  // the host may set its clock back
  noted_ns_ = now_ns;
  if (frozen()) return;
  if (period_number(now_ns) != period_number(since)) flags_ |= kPeriodic;
  if (seconds(now_ns) == seconds(since)) return;
  flags_ |= kUpdate;
  const RtcAlarm alarm{memory_[kSecondsAlarm], memory_[kMinutesAlarm], memory_[kHoursAlarm]};
  const auto due = rtc_next_alarm(seconds(since), alarm, format());
  if (due && *due <= seconds(now_ns)) flags_ |= kAlarm;
}

// The next moment at which an enabled event may come.
uint64_t CmosRtc::next_event(uint64_t now_ns) const {
  uint64_t next = now_ns + kLongestWaitNs;
  const uint64_t second = (now_ns / kNsPerSecond + 1) * kNsPerSecond;
  if ((control_b_ & kUpdate) != 0) next = std::min(next, second);
  if ((control_b_ & kPeriodic) != 0 && period_ticks(control_a_) != 0)
    next = std::min(next, from_crystal((period_number(now_ns) + 1) * period_ticks(control_a_)));
  if ((control_b_ & kAlarm) == 0) return next;
  const RtcAlarm alarm{memory_[kSecondsAlarm], memory_[kMinutesAlarm], memory_[kHoursAlarm]};
  if (const auto due = rtc_next_alarm(seconds(now_ns), alarm, format())) {
    const auto later = static_cast<uint64_t>(*due - seconds(now_ns) - 1);
    next = std::min(next, second + later * kNsPerSecond);
  }
  return next;
}

// A request that stands needs no alarm: it ends when the guest reads the flags.
void CmosRtc::schedule() {
  irq_.set(interrupting());
  if (frozen() || interrupting() || (control_b_ & kInterrupts) == 0) return alarm_->cancel();
  const uint64_t now_ns = now();
  alarm_->set(clocks_.monotonic() + (next_event(now_ns) - now_ns));
}

void CmosRtc::expired() {
  const std::lock_guard lock(mutex_);
  note_events();
  schedule();
}

void CmosRtc::transfer_state(contract::StateArchive& state) {
  const std::lock_guard lock(mutex_);
  state.version(1);
  for (uint8_t* reg : {&index_, &control_a_, &control_b_, &flags_}) state.value(*reg);
  state.check(index_ < memory_.size(), "an index beyond the memory");
  state.value(phase_ns_);
  state.check(phase_ns_ < kNsPerSecond, "a phase of a second or more");
  state.value(offset_s_);
  state.check(std::abs(offset_s_) < kFarthestOffsetS, "a time that no clock shows");
  state.value(noted_ns_);
  for (uint8_t& byte : memory_) state.value(byte);
  if (state.reading() && !state.failed()) schedule();
}

}  // namespace husk::platform
