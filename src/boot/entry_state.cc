#include "boot/entry_state.h"

#include <array>

#include "base/try.h"
#include "boot/layout.h"
#include "contract/x86/flat_state.h"

namespace husk::boot {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

constexpr uint16_t kCodeSelector = 0x10, kDataSelector = 0x18, kTaskSelector = 0x20;
constexpr uint64_t kPresent = 1, kWritable = 2, kLargePage = 0x80;
constexpr uint64_t kCr0Pg = 1u << 31, kCr4Pae = 0x20;
constexpr uint64_t kEferLme = 0x100, kEferLma = 0x400;

uint64_t descriptor(const Segment& segment) {
  const uint64_t limit =
      (segment.attributes & kSegGranular) != 0 ? segment.limit >> 12 : segment.limit;
  const uint64_t attributes = segment.attributes;
  return (limit & 0xffff) | (segment.base & 0xffffff) << 16 | (attributes & 0xff) << 40 |
         (limit >> 16 & 0xf) << 48 | (attributes >> 8 & 0xf) << 52 |
         (segment.base >> 24 & 0xff) << 56;
}

// Linux reloads its segments from this table: it says what the hidden parts say.
Result<VcpuState> with_descriptors(memory::GuestMemory& memory, CodeSize size) {
  VcpuState state =
      flat_state(size, {.code = kCodeSelector, .data = kDataSelector, .task = kTaskSelector});
  const std::array<uint64_t, 5> gdt{0, 0, descriptor(state.segments[kCs]),
                                    descriptor(state.segments[kDs]), descriptor(state.tr)};
  HUSK_TRY(memory.store(Gpa{kGdtAddress}, gdt));
  state.gdtr = {kGdtAddress, sizeof(gdt) - 1};
  state.idtr = {0, 0};
  return state;
}

// One PML4 and PDPT entry chain, four page directories of 2 MiB pages.
Result<void> write_identity_map(memory::GuestMemory& memory) {
  const uint64_t pdpt = kPageTables + kPageSize;
  HUSK_TRY(memory.store<uint64_t>(Gpa{kPageTables}, pdpt | kPresent | kWritable));
  for (uint64_t gib = 0; gib < 4; ++gib) {
    const uint64_t directory = pdpt + (1 + gib) * kPageSize;
    HUSK_TRY(memory.store<uint64_t>(Gpa{pdpt + gib * 8}, directory | kPresent | kWritable));
    for (uint64_t i = 0; i < 512; ++i) {
      const uint64_t page = gib << 30 | i << 21;
      HUSK_TRY(
          memory.store<uint64_t>(Gpa{directory + i * 8}, page | kPresent | kWritable | kLargePage));
    }
  }
  return {};
}

}  // namespace

Result<VcpuState> long_mode_entry(memory::GuestMemory& memory, uint64_t rip) {
  VcpuState state = HUSK_TRY(with_descriptors(memory, CodeSize::k64));
  HUSK_TRY(write_identity_map(memory));
  state.cr0 |= kCr0Pg;
  state.cr3 = kPageTables;
  state.cr4 = kCr4Pae;
  state.efer = kEferLme | kEferLma;
  state.rip = rip;
  return state;
}

Result<VcpuState> protected_mode_entry(memory::GuestMemory& memory, uint32_t eip) {
  VcpuState state = HUSK_TRY(with_descriptors(memory, CodeSize::k32));
  state.rip = eip;
  return state;
}

}  // namespace husk::boot
