// The single tables, as bytes; acpi.h puts them together.
#pragma once

#include "boot/acpi.h"
#include "boot/acpi_table.h"

namespace husk::boot {

// Fixed hardware (ACPI 6.5, 5.2.9); the arguments are guest-physical addresses.
[[nodiscard]] Bytes fadt(const AcpiConfig& config, uint64_t facs, uint64_t dsdt);
// Firmware control (5.2.10): nothing but its own size; its place is 64-aligned.
[[nodiscard]] Bytes facs();
// Processors and interrupt controllers (5.2.12).
[[nodiscard]] Bytes madt(const AcpiConfig& config);
// The devices that cannot be found by looking, in AML (5.2.11.1).
[[nodiscard]] Bytes dsdt(const AcpiConfig& config);

}  // namespace husk::boot
