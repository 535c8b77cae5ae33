#include "oci/slot_allocator.h"

#include <gtest/gtest.h>

#include <map>

#include "oci/erofs_format.h"

namespace husk::oci::erofs {
namespace {

TEST(SlotAllocator, StartsAfterWhatIsReserved) {
  SlotAllocator slots(kSuperOffset + sizeof(SuperBlock));
  EXPECT_EQ(slots.place(32), 36U * kSlotSize);
  EXPECT_EQ(slots.place(33), 37U * kSlotSize);
  EXPECT_EQ(slots.place(32), 39U * kSlotSize);
  EXPECT_EQ(slots.blocks(), 1U);
}

TEST(SlotAllocator, LargeRecordsDoNotWasteTheBlockBefore) {
  SlotAllocator slots(0);
  EXPECT_EQ(slots.place(100), 0U);
  EXPECT_EQ(slots.place(4096), 4096U);
  EXPECT_EQ(slots.place(4064), 8192U);
  EXPECT_EQ(slots.place(10000), 12288U);
  EXPECT_EQ(slots.blocks(), 6U);
  EXPECT_EQ(slots.place(64), 128U);
}

TEST(SlotAllocator, RecordsNeverOverlapOrCrossABlock) {
  SlotAllocator slots(1152);
  std::map<uint64_t, uint64_t> placed{{0, 1152}};
  uint32_t state = 1;
  for (int i = 0; i < 5000; ++i) {
    state = state * 1664525 + 1013904223;
    const uint64_t size = 1 + (state >> 8) % (i % 50 == 0 ? 20000 : 4096);
    const uint64_t offset = slots.place(size);
    EXPECT_EQ(offset % kSlotSize, 0U);
    if (size <= kBlockSize) {
      EXPECT_EQ(offset / kBlockSize, (offset + size - 1) / kBlockSize);
    }
    EXPECT_TRUE(placed.emplace(offset, size).second);
    EXPECT_LE(offset + size, slots.blocks() * kBlockSize);
  }
  uint64_t end = 0;
  for (const auto& [offset, size] : placed) {
    EXPECT_GE(offset, end);
    end = offset + size;
  }
}

}  // namespace
}  // namespace husk::oci::erofs
