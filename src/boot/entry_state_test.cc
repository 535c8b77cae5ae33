#include "boot/entry_state.h"

#include <gtest/gtest.h>

#include "boot/layout.h"
#include "boot/testing/images.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using contract::x86::Segment;
using contract::x86::VcpuState;
namespace x86 = contract::x86;

// A walk of the tables at CR3 for one address, as far as large pages.
uint64_t translate(memory::GuestMemory& memory, uint64_t cr3, uint64_t address) {
  uint64_t table = cr3;
  for (const int shift : {39, 30, 21}) {
    const auto entry = get<uint64_t>(memory, table + (address >> shift & 511) * 8);
    EXPECT_EQ(entry & 3, 3u) << "present and writable";
    EXPECT_EQ(entry >> 63, 0u) << "executable";
    table = entry & 0x000ffffffffff000;
    if (shift == 21) {
      EXPECT_NE(entry & 0x80, 0u);
      return (table & ~uint64_t{0x1fffff}) + (address & 0x1fffff);
    }
  }
  return 0;
}

TEST(EntryState, LongModeMapsTheFirst4GiBToThemselves) {
  auto memory = guest_memory(4 * kMiB);
  const VcpuState state = long_mode_entry(*memory, 0x1000200).value();
  for (const uint64_t at : {0x0ull, 0x1000200ull, 0x7fffffffull, 0xc0000000ull, 0xffffffffull})
    EXPECT_EQ(translate(*memory, state.cr3, at), at);
  EXPECT_EQ(state.rip, 0x1000200u);
}

TEST(EntryState, LongModeHasTheBitsThatItTakes) {
  auto memory = guest_memory(4 * kMiB);
  const VcpuState state = long_mode_entry(*memory, 0).value();
  EXPECT_EQ(state.cr0, 0x80000011u) << "PG, ET, PE";
  EXPECT_EQ(state.cr4, 0x20u) << "PAE";
  EXPECT_EQ(state.efer, 0x500u) << "LMA, LME";
  EXPECT_EQ(state.rflags, 2u) << "interrupts off";
  const Segment& code = state.segments[x86::kCs];
  EXPECT_EQ(code.selector, 0x10);
  EXPECT_NE(code.attributes & x86::kSegLong, 0);
  EXPECT_EQ(code.attributes & x86::kSegBig, 0) << "L and D together are reserved";
  EXPECT_EQ(state.segments[x86::kDs].selector, 0x18);
}

// Linux reloads its segments from this table: they have to say what the hidden parts say.
TEST(EntryState, DescriptorTableAgreesWithTheSegments) {
  auto memory = guest_memory(4 * kMiB);
  const VcpuState wide = long_mode_entry(*memory, 0).value();
  EXPECT_EQ(get<uint64_t>(*memory, wide.gdtr.base + 0x10), 0x00af9b000000ffffu);
  EXPECT_EQ(get<uint64_t>(*memory, wide.gdtr.base + 0x18), 0x00cf93000000ffffu);
  const VcpuState narrow = protected_mode_entry(*memory, 0).value();
  EXPECT_EQ(get<uint64_t>(*memory, narrow.gdtr.base + 0x10), 0x00cf9b000000ffffu);
  EXPECT_EQ(get<uint64_t>(*memory, narrow.gdtr.base + 0x20), 0x00008b0000000067u) << "a busy TSS";
  EXPECT_GE(narrow.gdtr.limit, 0x27);
}

TEST(EntryState, ProtectedModeIsFlatAndUnpaged) {
  auto memory = guest_memory(4 * kMiB);
  const VcpuState state = protected_mode_entry(*memory, 0x100000).value();
  EXPECT_EQ(state.cr0, 0x11u) << "ET, PE";
  EXPECT_EQ(state.cr4, 0u);
  EXPECT_EQ(state.efer, 0u);
  EXPECT_EQ(state.rflags, 2u);
  for (const Segment& segment : state.segments) {
    EXPECT_EQ(segment.base, 0u);
    EXPECT_EQ(segment.limit, 0xffffffffu);
    EXPECT_NE(segment.attributes & x86::kSegPresent, 0);
    EXPECT_NE(segment.attributes & x86::kSegBig, 0);
  }
  EXPECT_EQ(state.fxsave[0] | state.fxsave[1] << 8, 0x37f);
  EXPECT_EQ(state.fxsave[24] | state.fxsave[25] << 8, 0x1f80);
}

}  // namespace
}  // namespace husk::boot
