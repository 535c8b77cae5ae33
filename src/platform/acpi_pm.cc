#include "platform/acpi_pm.h"

namespace husk::platform {
namespace {

enum Offset : uint64_t { kStatus = 0, kEnable = 2, kControl = 4, kTimer = 8 };
constexpr uint16_t kPowerButton = 1u << 8;
constexpr uint16_t kSleepEnable = 1u << 13, kSciEnable = 1;
constexpr uint64_t kTimerHz = 3'579'545;

}  // namespace

void AcpiPm::update_sci() { sci_.set((status_ & enable_) != 0); }

void AcpiPm::press_power_button() {
  status_ |= kPowerButton;
  update_sci();
}

uint64_t AcpiPm::read(uint64_t offset, uint32_t) {
  if (offset == kStatus) return status_ | uint64_t{enable_} << 16;
  if (offset == kEnable) return enable_;
  if (offset == kControl) return control_ | kSciEnable;
  if (offset == kTimer)
    return static_cast<uint32_t>(static_cast<unsigned __int128>(clock_()) * kTimerHz /
                                 1'000'000'000);
  return 0;
}

void AcpiPm::write(uint64_t offset, uint32_t size, uint64_t value) {
  if (offset == kStatus) {
    status_ &= static_cast<uint16_t>(~value);  // write one to clear
    if (size == 4) enable_ = static_cast<uint16_t>(value >> 16);
  } else if (offset == kEnable) {
    enable_ = static_cast<uint16_t>(value);
  } else if (offset == kControl) {
    control_ = static_cast<uint16_t>(value & ~uint64_t{kSleepEnable});
    if ((value & kSleepEnable) != 0 && (value >> 10 & 7) == s5_)
      events_.raise(contract::MachineEvent::kPowerOff, 0);
  }
  update_sci();
}

}  // namespace husk::platform
