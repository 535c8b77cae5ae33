// An ELF file's program headers and notes, as far as a loader needs them. Reading only; nothing is
// placed here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "husk/error.h"

#include "boot/placement.h"
#include "memory/guest_memory.h"

namespace husk::boot {

// A PT_LOAD header with something in it. Its bytes lie within the file.
struct LoadSegment {
  uint64_t offset = 0, physical = 0, virtual_start = 0;
  uint64_t file_size = 0, memory_size = 0;  // file_size <= memory_size
};

struct ElfImage {
  bool wide = false;  // ELFCLASS64
  bool x86_64 = false;
  uint64_t entry = 0;  // physical
  std::optional<uint32_t>
      pvh_entry;  // the note XEN_ELFNOTE_PHYS32_ENTRY: a 32-bit physical address
  std::vector<LoadSegment> segments;
};

[[nodiscard]] bool is_elf(std::span<const std::byte> file);

// Refuses damaged or truncated files, and every machine but the two x86 ones. `name` is the error's
// subject.
[[nodiscard]] Result<ElfImage> parse_elf(const std::string& name, std::span<const std::byte> file);

// Claims every segment's place, then (in a second step, when all is checked) copies the bytes and
// zeroes the rest.
[[nodiscard]] Result<void> claim_segments(Placement& placement, const ElfImage& image);
[[nodiscard]] Result<void> copy_segments(memory::GuestMemory& memory,
                                         std::span<const std::byte> file, const ElfImage& image);

}  // namespace husk::boot
