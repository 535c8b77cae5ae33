#include "platform/acpi_pm.h"

namespace husk::platform {
namespace {

constexpr uint64_t kBlockSize = 4;
enum Block : uint64_t { kEvent, kControl, kTimer };
constexpr uint16_t kPowerButton = 1u << 8, kSciEnable = 1;
constexpr uint8_t kSleepEnable = 1u << 5;  // in the control register's high byte
constexpr uint64_t kTimerHz = 3'579'545, kNsPerSecond = 1'000'000'000;

void set_byte(uint16_t& reg, uint64_t index, uint8_t value) {
  reg = static_cast<uint16_t>((reg & ~(0xff << 8 * index)) | value << 8 * index);
}

}  // namespace

void AcpiPm::update_sci() { sci_.set((status_ & enable_) != 0); }

void AcpiPm::press_power_button() {
  const std::lock_guard lock(mutex_);
  status_ |= kPowerButton;
  update_sci();
}

uint32_t AcpiPm::read_block(uint64_t block) const {
  switch (block) {
    case kEvent:
      return status_ | uint32_t{enable_} << 16;
    case kControl:
      return control_ | kSciEnable;
    case kTimer:
      return static_cast<uint32_t>(static_cast<unsigned __int128>(now()) * kTimerHz / kNsPerSecond);
    default:
      return 0;
  }
}

uint64_t AcpiPm::read(uint64_t offset, uint32_t) {
  const std::lock_guard lock(mutex_);
  const uint64_t block = offset / kBlockSize;
  const uint64_t both = read_block(block) | uint64_t{read_block(block + 1)} << 32;
  return both >> 8 * (offset % kBlockSize);
}

void AcpiPm::write_byte(uint64_t offset, uint8_t value) {
  const uint64_t high = offset & 1;
  switch (offset) {
    case 0:
    case 1:  // status: a one clears
      status_ &= static_cast<uint16_t>(~(value << 8 * high));
      return;
    case 2:
    case 3:
      return set_byte(enable_, high, value);
    case 4:
      return set_byte(control_, high, value);
    case 5:
      set_byte(control_, high, value & ~kSleepEnable);
      if ((value & kSleepEnable) != 0 && (value >> 2 & 7) == s5_)
        events_.raise(contract::MachineEvent::kPowerOff, 0);
      return;
    default:
      return;
  }
}

void AcpiPm::write(uint64_t offset, uint32_t size, uint64_t value) {
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < size; ++i) write_byte(offset + i, static_cast<uint8_t>(value >> 8 * i));
  update_sci();
}

void AcpiPm::transfer_state(contract::StateArchive& state) {
  const std::lock_guard lock(mutex_);
  uint64_t timer_ns = now();
  state.version(1);
  state.value(timer_ns);
  state.value(status_);
  state.value(enable_);
  state.value(control_);
  if (state.reading()) ahead_ns_ = timer_ns - clock_();
}

}  // namespace husk::platform
