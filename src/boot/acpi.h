// The ACPI tables of the paravirtual PC (ACPI 6.5): RSDP, XSDT, FADT, FACS, MADT, DSDT.
#pragma once

#include <cstdint>
#include <vector>

#include "husk/error.h"

#include "contract/address.h"
#include "memory/guest_memory.h"

namespace husk::boot {

// A virtio-mmio device; its interrupt is level, active high.
struct MmioDevice {
  uint64_t base = 0;
  uint32_t size = 0;
  uint32_t gsi = 0;
};

// What the board has, in numbers. The vCPUs' APIC IDs count from 0.
struct AcpiConfig {
  uint32_t vcpus = 1;
  uint32_t local_apic = 0xfee00000;
  uint32_t io_apic = 0xfec00000;
  bool legacy_pics = true;           // a pair of 8259s beside the I/O APIC
  bool keyboard_controller = false;  // an 8042 that is worth half a second of probing
  bool fixed_power_button = true;    // in the PM1a event block
  uint16_t pm1_event = 0;            // port of PM1a_EVT_BLK, 4 bytes
  uint16_t pm1_control = 0;          // port of PM1a_CNT_BLK, 2 bytes
  uint16_t pm_timer = 0;             // port of PM_TMR_BLK, 4 bytes, 32 bits counted; 0: none
  uint16_t reset_port = 0;           // RESET_REG, 0: none
  uint8_t reset_value = 0;
  uint8_t sci_gsi = 9;  // level, active high
  uint8_t s5_sleep_type = 5;
  uint16_t serial_port = 0;  // COM1, 0: none
  uint8_t serial_gsi = 4;
  uint64_t vm_generation_id = 0;   // where 16 bytes of it are
  uint8_t vm_generation_gsi = 0;   // edge, at each change of it; 0: there is none
  std::vector<MmioDevice> virtio;  // LNRO0005 in the DSDT, _UID by position
};

// Writes the tables between kAcpiTables and kAcpiTablesEnd; returns the RSDP's address. kLimit when
// they do not fit.
[[nodiscard]] Result<Gpa> write_acpi(memory::GuestMemory& memory, const AcpiConfig& config);

}  // namespace husk::boot
