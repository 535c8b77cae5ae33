// A debugger's look at page tables of x86-64: nothing is checked that a debugger need not care for.
#include <fmt/core.h>

#include "base/try.h"
#include "gdb/x86_64/registers.h"

namespace husk::gdb::x86_64 {
namespace {

constexpr uint64_t kCr0Paging = 1u << 31;
constexpr uint64_t kCr4Pse = 1u << 4, kCr4Pae = 1u << 5, kCr4La57 = 1u << 12;
constexpr uint64_t kEferLma = 1u << 10;
constexpr uint64_t kPresent = 1, kLarge = 1u << 7;
constexpr uint64_t kFourGiB = uint64_t{1} << 32;

// One of the three formats of tables.
struct Tables {
  uint64_t root;
  unsigned levels;      // from the root to what maps 4 KiB
  unsigned index_bits;  // of each table, but for a smaller root
  unsigned entry_size;
  uint64_t address_bits;  // of an entry, and of CR3
  bool large_pages;       // PS of an entry above the last level counts
};

constexpr uint64_t bits(unsigned high, unsigned low) {
  return ((uint64_t{1} << (high - low + 1)) - 1) << low;
}

Tables tables_of(const VcpuState& state) {
  if ((state.efer & kEferLma) != 0) {
    const unsigned levels = (state.cr4 & kCr4La57) != 0 ? 5 : 4;
    return {state.cr3 & bits(51, 12), levels, 9, 8, bits(51, 12), true};
  }
  if ((state.cr4 & kCr4Pae) != 0) return {state.cr3 & bits(31, 5), 3, 9, 8, bits(51, 12), true};
  return {state.cr3 & bits(31, 12), 2, 10, 4, bits(31, 12), (state.cr4 & kCr4Pse) != 0};
}

std::unexpected<Error> unmapped(uint64_t linear) {
  return fail(ErrorKind::kNotFound, fmt::format("address {:#x}", linear), "is not mapped");
}

Result<uint64_t> load_entry(const Tables& tables, const memory::GuestMemory& memory, uint64_t at) {
  if (tables.entry_size == 8) return memory.load<uint64_t>(Gpa{at});
  return memory.load<uint32_t>(Gpa{at});
}

// The bits of a 4 MiB page above 4 GiB are bits 13 to 20 of its entry (table 4-4).
uint64_t frame_of(const Tables& tables, uint64_t entry, unsigned shift) {
  const uint64_t frame = entry & tables.address_bits & ~((uint64_t{1} << shift) - 1);
  return tables.entry_size == 4 && shift > 12 ? frame | (entry & bits(20, 13)) << 19 : frame;
}

Result<Gpa> walk(const Tables& tables, const memory::GuestMemory& memory, uint64_t linear) {
  uint64_t table = tables.root;
  for (unsigned level = tables.levels; level-- > 0;) {
    const unsigned shift = 12 + level * tables.index_bits;
    const uint64_t index = linear >> shift & ((uint64_t{1} << tables.index_bits) - 1);
    const uint64_t entry = HUSK_TRY(load_entry(tables, memory, table + index * tables.entry_size));
    if ((entry & kPresent) == 0) return unmapped(linear);
    const bool large = tables.large_pages && level < 3 && level > 0 && (entry & kLarge) != 0;
    if (level == 0 || large)
      return Gpa{frame_of(tables, entry, shift) | (linear & ((uint64_t{1} << shift) - 1))};
    table = entry & tables.address_bits;
  }
  return unmapped(linear);
}

bool canonical(uint64_t linear, unsigned levels) {
  const unsigned unused = 64 - (12 + 9 * levels);
  return static_cast<uint64_t>(static_cast<int64_t>(linear << unused) >> unused) == linear;
}

}  // namespace

Result<Gpa> translate(const VcpuState& state, const memory::GuestMemory& memory, uint64_t linear) {
  const bool long_mode = (state.efer & kEferLma) != 0;
  if (!long_mode && linear >= kFourGiB) return unmapped(linear);
  if ((state.cr0 & kCr0Paging) == 0) return Gpa{linear};
  const Tables tables = tables_of(state);
  if (long_mode && !canonical(linear, tables.levels)) return unmapped(linear);
  return walk(tables, memory, linear);
}

}  // namespace husk::gdb::x86_64
