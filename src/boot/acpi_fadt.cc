// FADT and FACS: the fixed hardware of ACPI (ACPI 6.5, 5.2.9 and 5.2.10).
#include "boot/acpi_tables.h"

namespace husk::boot {
namespace {

// Flags (table 5.10).
constexpr uint32_t kWbinvd = 1u << 0, kProcC1 = 1u << 2, kNoFixedPowerButton = 1u << 4;
constexpr uint32_t kNoFixedSleepButton = 1u << 5, kNoFixedRtc = 1u << 6, kTimer32 = 1u << 8;
constexpr uint32_t kResetRegister = 1u << 10;
// IA-PC boot architecture flags (table 5.11).
constexpr uint16_t kLegacyDevices = 1u << 0, k8042 = 1u << 1, kNoVga = 1u << 2;

constexpr uint8_t kPm1EventLength = 4, kPm1ControlLength = 2, kTimerLength = 4;
constexpr uint16_t kNoC2 = 101, kNoC3 = 1001;  // latencies beyond which the state does not exist
constexpr uint8_t kCenturyRegister = 0x32;
constexpr uint8_t kMinorVersion = 5;

// A generic address structure (5.2.3.2) in I/O space; access sizes 1, 2, 3 are 8, 16, 32 bits.
void put_port(Bytes& out, uint16_t port, uint8_t bits, uint8_t access) {
  if (port == 0) return put_zeros(out, 12);
  put(out, 1, 1);
  put(out, bits, 1);
  put(out, 0, 1);
  put(out, access, 1);
  put(out, port, 8);
}

uint32_t flags(const AcpiConfig& config) {
  uint32_t value = kWbinvd | kProcC1 | kNoFixedSleepButton | kNoFixedRtc | kTimer32;
  if (!config.fixed_power_button) value |= kNoFixedPowerButton;
  if (config.reset_port != 0) value |= kResetRegister;
  return value;
}

uint16_t boot_flags(const AcpiConfig& config) {
  return static_cast<uint16_t>(kLegacyDevices | kNoVga | (config.keyboard_controller ? k8042 : 0));
}

// Offsets 56 to 95: ports by number, and their lengths. There is no SMI command: ACPI is always on.
void put_ports(Bytes& out, const AcpiConfig& config) {
  put(out, config.pm1_event, 4);
  put(out, 0, 4);  // PM1b_EVT
  put(out, config.pm1_control, 4);
  put(out, 0, 4);  // PM1b_CNT
  put(out, 0, 4);  // PM2_CNT
  put(out, config.pm_timer, 4);
  put_zeros(out, 8);  // GPE0, GPE1
  put(out, kPm1EventLength, 1);
  put(out, kPm1ControlLength, 1);
  put(out, 0, 1);
  put(out, config.pm_timer == 0 ? 0 : kTimerLength, 1);
  put_zeros(out, 4);  // GPE0 and GPE1 length, GPE1 base, CST_CNT
}

// Offsets 148 to 268: the same as addresses of any kind.
void put_extended_ports(Bytes& out, const AcpiConfig& config) {
  put_port(out, config.pm1_event, 32, 2);
  put_port(out, 0, 0, 0);  // PM1b_EVT
  put_port(out, config.pm1_control, 16, 2);
  put_port(out, 0, 0, 0);  // PM1b_CNT
  put_port(out, 0, 0, 0);  // PM2_CNT
  put_port(out, config.pm_timer, 32, 3);
  put_zeros(out, 48);  // GPE0, GPE1, sleep control, sleep status
}

}  // namespace

Bytes fadt(const AcpiConfig& config, uint64_t facs, uint64_t dsdt) {
  Bytes out;
  put(out, 0, 4);  // FIRMWARE_CTRL: the wide field has it, and both would be taken for two tables
  put(out, dsdt, 4);
  put_zeros(out, 2);  // reserved; no preferred profile
  put(out, config.sci_gsi, 2);
  put_zeros(out, 8);  // SMI_CMD and what is written to it
  put_ports(out, config);
  put(out, kNoC2, 2);
  put(out, kNoC3, 2);
  put_zeros(out, 8);  // cache flush and duty cycle, day and month alarm
  put(out, kCenturyRegister, 1);
  put(out, boot_flags(config), 2);
  put(out, 0, 1);
  put(out, flags(config), 4);
  put_port(out, config.reset_port, 8, 1);
  put(out, config.reset_value, 1);
  put(out, 0, 2);  // ARM
  put(out, kMinorVersion, 1);
  put(out, facs, 8);
  put(out, dsdt, 8);
  put_extended_ports(out, config);
  put(out, 0, 8);  // hypervisor vendor
  return system_table("FACP", 6, out);
}

Bytes facs() {
  constexpr size_t kSize = 64;
  constexpr uint8_t kVersion = 2;
  Bytes out;
  put_text(out, "FACS", 4);
  put(out, kSize, 4);
  put_zeros(out, 24);
  put(out, kVersion, 1);
  put_zeros(out, kSize - out.size());
  return out;
}

}  // namespace husk::boot
