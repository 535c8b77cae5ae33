// Where things are in guest-physical space.
//
//   0x0000'0000  +---------------------------------+
//   0x0000'1000  | GDT                             |
//   0x0000'7000  | boot_params, hvm_start_info or  |  one of them, by the boot protocol
//                | multiboot_info                  |
//   0x0000'9000  | identity page tables            |  64-bit entries only
//   0x0002'0000  | command line                    |
//   0x0003'0000  | RAM                             |
//   0x0009'fc00  +---------------------------------+
//                | reserved                        |  where a BIOS would have its EBDA, video, ROMs
//   0x000d'f010  | VM generation ID                |
//   0x000e'0000  +---------------------------------+
//                | ACPI tables, the RSDP first     |  ACPI-reclaimable in the memory map
//   0x0010'0000  +---------------------------------+
//                | RAM: kernel ... initrd          |  the initrd as high as the kernel lets it be
//   0xc000'0000  +---------------------------------+  or the end of RAM, when that is lower
//                | devices                         |  no RAM: virtio-mmio, I/O APIC, local APIC
//   1'0000'0000  +---------------------------------+
//                | RAM beyond 3 GiB                |
//                +---------------------------------+
#pragma once

#include <cstdint>
#include <vector>

#include "memory/guest_memory.h"

namespace husk::boot {

constexpr uint64_t kGdtAddress = 0x1000;
constexpr uint64_t kBootInfoAddress = 0x7000;  // boot_params or hvm_start_info
constexpr uint64_t kPageTables = 0x9000;       // PML4, PDPT, four page directories
constexpr uint64_t kPageTablesEnd = 0xf000;
constexpr uint64_t kCommandLine = 0x20000;
constexpr uint64_t kCommandLineEnd = 0x30000;
constexpr uint64_t kLowMemoryEnd = 0x9fc00;
constexpr uint64_t kVmGenerationId = 0xdf010;  // 16 bytes, not where an option ROM could begin
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

// What a kernel is told about `memory`: the RAM of its regions less the reserved area below 1 MiB.
// Sorted.
[[nodiscard]] std::vector<E820Entry> e820_map(const memory::GuestMemory& memory);

}  // namespace husk::boot
