// A debugger's look at the translation tables of EL1 and EL0: VMSAv8-64 with 4, 16 and 64 KiB
// granules, without 52-bit addresses.
#include <fmt/core.h>

#include <optional>

#include "base/try.h"
#include "gdb/aarch64/registers.h"

namespace husk::gdb::aarch64 {
namespace {

constexpr uint64_t kMmuOn = 1;  // SCTLR_EL1.M
constexpr uint64_t kValid = 1, kTable = 2;
constexpr uint64_t kTagged = uint64_t{1} << 37;  // TCR_EL1.TBI0; TBI1 is the next bit

constexpr uint64_t low_bits(unsigned count) { return (uint64_t{1} << count) - 1; }

// One of the two ranges of addresses.
struct Range {
  uint64_t root;
  unsigned size_bits;     // of an address
  unsigned granule_bits;  // of a page
};

std::unexpected<Error> unmapped(uint64_t address) {
  return fail(ErrorKind::kNotFound, fmt::format("address {:#x}", address), "is not mapped");
}

// TG0 and TG1 count differently (DDI 0487, TCR_EL1).
std::optional<unsigned> granule_of(uint64_t tcr, bool upper) {
  const unsigned code = upper ? tcr >> 30 & 3 : tcr >> 14 & 3;
  constexpr unsigned kLower[] = {12, 16, 14, 0}, kUpper[] = {0, 14, 12, 16};
  const unsigned granule = upper ? kUpper[code] : kLower[code];
  return granule != 0 ? std::optional(granule) : std::nullopt;
}

// The bits above a range's size are all ones or all zeroes; a tag in the highest byte may be free.
bool in_range(uint64_t address, unsigned size_bits, bool upper, bool tagged) {
  const unsigned high = tagged ? 56 : 64;
  const uint64_t rest = address & low_bits(high - 1) & ~low_bits(size_bits);
  return rest == (upper ? low_bits(high - 1) & ~low_bits(size_bits) : 0);
}

std::optional<Range> range_of(const VcpuState& state, uint64_t address) {
  const uint64_t tcr = value_of(state, kTcrEl1);
  const bool upper = (address >> 55 & 1) != 0;
  const unsigned size_bits = 64 - static_cast<unsigned>(tcr >> (upper ? 16 : 0) & 0x3f);
  const auto granule = granule_of(tcr, upper);
  const bool tagged = (tcr & (upper ? kTagged << 1 : kTagged)) != 0;
  if (!granule || size_bits > 48 || size_bits <= *granule) return std::nullopt;
  if (!in_range(address, size_bits, upper, tagged)) return std::nullopt;
  const uint64_t base = value_of(state, upper ? kTtbr1El1 : kTtbr0El1);
  return Range{base & low_bits(48) & ~uint64_t{1}, size_bits, *granule};
}

Result<Gpa> walk(const Range& range, const memory::GuestMemory& memory, uint64_t address) {
  const unsigned index_bits = range.granule_bits - 3;
  const unsigned levels =
      (range.size_bits - range.granule_bits + index_bits - 1) / index_bits;  // rounded up
  uint64_t table = range.root;
  unsigned top = range.size_bits;
  for (unsigned level = levels; level-- > 0;) {
    const unsigned shift = range.granule_bits + level * index_bits;
    const uint64_t index = address >> shift & low_bits(top - shift);
    const uint64_t entry = HUSK_TRY(memory.load<uint64_t>(Gpa{table + 8 * index}));
    if ((entry & kValid) == 0) return unmapped(address);
    const bool is_table = (entry & kTable) != 0;
    if (level == 0 && !is_table) return unmapped(address);  // reserved
    if (level == 0 || !is_table)
      return Gpa{(entry & low_bits(48) & ~low_bits(shift)) | (address & low_bits(shift))};
    table = entry & low_bits(48) & ~low_bits(range.granule_bits);
    top = shift;
  }
  return unmapped(address);
}

}  // namespace

Result<Gpa> translate(const VcpuState& state, const memory::GuestMemory& memory, uint64_t address) {
  if ((value_of(state, kSctlrEl1) & kMmuOn) == 0) return Gpa{address};
  const auto range = range_of(state, address);
  if (!range) return unmapped(address);
  return walk(*range, memory, address);
}

}  // namespace husk::gdb::aarch64
