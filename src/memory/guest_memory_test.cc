#include "memory/guest_memory.h"

#include <gtest/gtest.h>

#include <array>

namespace husk::memory {
namespace {

std::unique_ptr<GuestMemory> two_regions() {
  const RegionSpec specs[] = {{Gpa{0}, 0x10000}, {Gpa{0x100000}, 0x2000}};
  return std::move(*GuestMemory::create(specs));
}

TEST(GuestMemory, ReadsBackFirstAndLastByteOfEachRegion) {
  auto memory = two_regions();
  for (const uint64_t at : {0x0ull, 0xffffull, 0x100000ull, 0x101fffull}) {
    ASSERT_TRUE(memory->store<uint8_t>(Gpa{at}, 0x5a)) << at;
    EXPECT_EQ(*memory->load<uint8_t>(Gpa{at}), 0x5a) << at;
  }
}

TEST(GuestMemory, RefusesWhatLeavesARegion) {
  auto memory = two_regions();
  EXPECT_FALSE(memory->load<uint8_t>(Gpa{0x10000}));
  EXPECT_FALSE(memory->load<uint16_t>(Gpa{0xffff}));
  EXPECT_FALSE(memory->load<uint64_t>(Gpa{0x101ff9}));
  EXPECT_FALSE(memory->load<uint64_t>(Gpa{~0ull - 3}));
  EXPECT_FALSE(memory->host_span(Gpa{0x100000}, ~0ull));
  EXPECT_FALSE(memory->host_span(Gpa{0}, 0x10001));
}

TEST(GuestMemory, RefusesBadRegions) {
  const RegionSpec unaligned[] = {{Gpa{1}, 0x1000}};
  const RegionSpec overlapping[] = {{Gpa{0}, 0x2000}, {Gpa{0x1000}, 0x1000}};
  const RegionSpec wrapping[] = {{Gpa{~0ull & kPageMask}, 0x2000}};
  EXPECT_FALSE(GuestMemory::create(unaligned));
  EXPECT_FALSE(GuestMemory::create(overlapping));
  EXPECT_FALSE(GuestMemory::create(wrapping));
  EXPECT_FALSE(GuestMemory::create({}));
}

TEST(GuestMemory, TakesDirtyPagesOnce) {
  auto memory = two_regions();
  ASSERT_TRUE(memory->store<uint8_t>(Gpa{0x3000}, 1));
  EXPECT_TRUE(memory->take_dirty_pages().value().empty()) << "tracking is off";
  ASSERT_TRUE(memory->enable_dirty_tracking());
  const std::array<std::byte, 2> two{};
  ASSERT_TRUE(memory->write(Gpa{0x1fff}, two));
  ASSERT_TRUE(memory->store<uint8_t>(Gpa{0x101fff}, 1));
  const std::vector<Gpa> expected{Gpa{0x1000}, Gpa{0x2000}, Gpa{0x101000}};
  EXPECT_EQ(memory->take_dirty_pages().value(), expected);
  EXPECT_TRUE(memory->take_dirty_pages().value().empty());
}

}  // namespace
}  // namespace husk::memory
