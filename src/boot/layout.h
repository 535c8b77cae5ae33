// Where things are in guest-physical space.
//
//   0x0000'0000  +------------------------------+
//                | RAM                          |  0x1000 GDT, 0x7000 zero page or start info, 0x9000 page tables,
//                |                              |  0x2'0000 command line
//   0x0009'fc00  +------------------------------+
//                | reserved                     |  0xe'0000 ACPI tables
//   0x0010'0000  +------------------------------+
//                | RAM: kernel, ... , initrd    |
//   0xc000'0000  +------------------------------+  (or the end of RAM)
//                | devices: virtio 0xd000'0000, I/O APIC 0xfec0'0000, local APIC 0xfee0'0000
//   1'0000'0000  +------------------------------+
//                | RAM beyond 3 GiB             |
//                +------------------------------+
#pragma once

#include <cstdint>
#include <vector>

#include "memory/guest_memory.h"

namespace husk::boot {

constexpr uint64_t kGdtAddress = 0x1000;
constexpr uint64_t kBootInfoAddress = 0x7000;  // boot_params or hvm_start_info
constexpr uint64_t kPageTables = 0x9000;       // PML4, PDPT, four page directories
constexpr uint64_t kCommandLine = 0x20000;
constexpr uint64_t kLowMemoryEnd = 0x9fc00;
constexpr uint64_t kAcpiTables = 0xe0000;
constexpr uint64_t kAcpiTablesEnd = 0x100000;
constexpr uint64_t kHighMemory = 0x100000;
constexpr uint64_t kDeviceHole = 0xc0000000;
constexpr uint64_t kAbove4G = 0x100000000;

// RAM regions for `bytes` of memory (a multiple of 4 KiB).
[[nodiscard]] std::vector<memory::RegionSpec> ram_layout(uint64_t bytes);

// One entry of the BIOS memory map (ACPI 6.5, table 15.2).
struct E820Entry {
  uint64_t address = 0;
  uint64_t size = 0;
  uint32_t type = 0;
};
constexpr uint32_t kE820Ram = 1, kE820Reserved = 2, kE820Acpi = 3;

[[nodiscard]] std::vector<E820Entry> e820_map(const memory::GuestMemory& memory);

}  // namespace husk::boot
