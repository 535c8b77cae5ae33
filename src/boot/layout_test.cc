#include "boot/layout.h"

#include <gtest/gtest.h>

namespace husk::boot {
namespace {

constexpr uint64_t kGiB = 1 << 30;

TEST(Layout, LeavesTheHoleForDevices) {
  const auto small = ram_layout(kGiB);
  ASSERT_EQ(small.size(), 1u);
  EXPECT_EQ(small[0].size, kGiB);
  const auto exact = ram_layout(3 * kGiB);
  ASSERT_EQ(exact.size(), 1u);
  const auto large = ram_layout(8 * kGiB);
  ASSERT_EQ(large.size(), 2u);
  EXPECT_EQ(large[0].size, 3 * kGiB);
  EXPECT_EQ(large[1].start, Gpa{4 * kGiB});
  EXPECT_EQ(large[1].size, 5 * kGiB);
}

TEST(Layout, MemoryMapIsSortedAndCoversAllOfMemory) {
  for (const uint64_t size : {uint64_t{0x80000}, uint64_t{0x100000}, kGiB, 5 * kGiB}) {
    const auto memory = memory::GuestMemory::create(ram_layout(size)).value();
    uint64_t covered = 0, end = 0;
    for (const E820Entry& entry : e820_map(*memory)) {
      EXPECT_GE(entry.address, end);
      end = entry.address + entry.size;
      covered += entry.size;
      EXPECT_TRUE(entry.type != kE820Ram ||
                  memory->find(Gpa{entry.address}, entry.size) != nullptr);
    }
    EXPECT_GE(covered, size);
  }
}

TEST(Layout, AcpiTablesAreReclaimableAndTheBiosAreaReserved) {
  const auto memory = memory::GuestMemory::create(ram_layout(kGiB)).value();
  const auto map = e820_map(*memory);
  ASSERT_EQ(map.size(), 4u);
  EXPECT_EQ(map[0].size, 0x9fc00u);
  EXPECT_EQ(map[1].type, kE820Reserved);
  EXPECT_GE(kVmGenerationId, map[1].address) << "not memory that the guest uses";
  EXPECT_LE(kVmGenerationId + 16, map[1].address + map[1].size);
  EXPECT_EQ(map[2].address, kAcpiTables);
  EXPECT_EQ(map[2].type, kE820Acpi);
  EXPECT_EQ(map[3].address, kHighMemory);
  EXPECT_EQ(map[3].address + map[3].size, kGiB);
}

}  // namespace
}  // namespace husk::boot
