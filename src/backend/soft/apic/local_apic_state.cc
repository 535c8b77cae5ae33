// The local APIC's state in KVM_GET_LAPIC's layout (Linux, Documentation/virt/kvm/api.rst, 4.57):
// each register as a little-endian word at 16 times its number.
#include <algorithm>
#include <cstring>

#include "backend/soft/apic/local_apic.h"

namespace husk::soft::apic {

namespace {

uint32_t word_at(std::span<const uint8_t, 1024> page, uint32_t reg) {
  uint32_t value;
  std::memcpy(&value, page.data() + reg * 16, sizeof(value));
  return value;
}

void set_word(std::span<uint8_t, 1024> page, uint32_t reg, uint32_t value) {
  std::memcpy(page.data() + reg * 16, &value, sizeof(value));
}

}  // namespace

void LocalApic::save(std::span<uint8_t, 1024> page) const {
  const uint64_t now = clock_();
  std::ranges::fill(page, uint8_t{0});
  for (uint32_t reg = kId; reg <= kDivide; ++reg) set_word(page, reg, peek(reg, now));
  set_word(page, kId, id_ << 24);  // in both modes
  // A count of 0 says that a one-shot timer has expired and a periodic one is about to start again.
  // An expiry that is due but was not fired yet must fire after the restore; a periodic timer that
  // stands must not start.
  if (timer_.initial_count() == 0 || timer_.current_count(now) != 0) return;
  if (timer_.deadline() != 0) {
    set_word(page, kCurrentCount, 1);
  } else if (timer_.mode() == ApicTimer::Mode::kPeriodic) {
    set_word(page, kInitialCount, 0);
  }
}

Result<void> LocalApic::load(std::span<const uint8_t, 1024> page) {
  // An APIC ID stands in bits 24-31, or in all of them in x2APIC mode.
  if (const uint32_t id = word_at(page, kId); id != id_ && id != id_ << 24)
    return fail(ErrorKind::kCorrupt, "local APIC " + std::to_string(id_),
                "the state is of another vCPU");
  reset(true);
  // Through the guest's door, which drops what a register does not hold; the enable bit before the
  // LVT.
  constexpr uint32_t kWritten[] = {kSpurious, kTpr,      kLdr,        kDfr,
                                   kDivide,   kLvtTimer, kLvtThermal, kLvtPerformance,
                                   kLvtLint0, kLvtLint1, kLvtError};
  for (const uint32_t reg : kWritten) write(reg * 16, 4, word_at(page, reg));
  for (const uint32_t reg : {kEsr, kIcrLow, kIcrHigh}) set(reg, word_at(page, reg));
  for (uint32_t i = 0; i < kBankWords; ++i) {
    const uint32_t legal = i == 0 ? ~((1u << kFirstVector) - 1) : ~0u;
    for (const uint32_t bank : {kIsr, kTmr, kIrr}) set(bank + i, word_at(page, bank + i) & legal);
  }
  timer_.resume(word_at(page, kInitialCount), word_at(page, kCurrentCount), clock_());
  signal_.raise(kSignalInterrupt);
  return {};
}

}  // namespace husk::soft::apic
