#include "memory/guest_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

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

// A file whose every 4 bytes say where they are.
base::Fd counted_file(uint32_t size) {
  base::Fd file(::memfd_create("counted", MFD_CLOEXEC));
  for (uint32_t at = 0; at < size; at += 4)
    EXPECT_EQ(::pwrite(file.get(), &at, sizeof at, at), ssize_t{sizeof at});
  return file;
}

Result<std::unique_ptr<GuestMemory>> over_file(const base::Fd& file, uint64_t size) {
  const RegionSpec specs[] = {{Gpa{0}, 0x10000}, {Gpa{0x100000}, 0x20000}};
  FileWindow window = std::move(*FileWindow::create(size));
  EXPECT_TRUE(window.show(0, file.get(), 0, size, FileWindow::Writes::kPrivate));
  return GuestMemory::over(specs, std::move(window));
}

TEST(GuestMemoryOverAWindow, ShowsTheFileAndKeepsItsWritesToItself) {
  const base::Fd file = counted_file(0x30000);
  auto memory = over_file(file, 0x30000);
  ASSERT_TRUE(memory);
  EXPECT_EQ((*memory)->file(), -1);
  EXPECT_EQ((*memory)->bytes().size(), 0x30000U);
  EXPECT_EQ((*memory)->load<uint32_t>(Gpa{0x100004}), 0x10004U);
  ASSERT_TRUE((*memory)->enable_dirty_tracking());
  ASSERT_TRUE((*memory)->store<uint32_t>(Gpa{0x11fffc}, 7));
  EXPECT_EQ((*memory)->take_dirty_pages().value(), std::vector{Gpa{0x11f000}});
  uint32_t in_file = 0;
  ASSERT_EQ(::pread(file.get(), &in_file, sizeof in_file, 0x2fffc), ssize_t{sizeof in_file});
  EXPECT_EQ(in_file, 0x2fffcU);
}

TEST(GuestMemoryOverAWindow, IsZeroOnceCleared) {
  const base::Fd file = counted_file(0x30000);
  auto memory = over_file(file, 0x30000);
  ASSERT_TRUE(memory);
  const std::byte* place = (*memory)->find(Gpa{0x100000}, 4);
  ASSERT_TRUE((*memory)->clear());
  EXPECT_EQ((*memory)->find(Gpa{0x100000}, 4), place);
  EXPECT_EQ((*memory)->load<uint32_t>(Gpa{0x100004}), 0U);
  uint32_t in_file = 0;
  ASSERT_EQ(::pread(file.get(), &in_file, sizeof in_file, 0x10004), ssize_t{sizeof in_file});
  EXPECT_EQ(in_file, 0x10004U);
}

TEST(GuestMemoryOverAWindow, HasToFillIt) {
  const base::Fd file = counted_file(0x40000);
  EXPECT_FALSE(over_file(file, 0x40000));
  EXPECT_FALSE(over_file(file, 0x20000));
}

}  // namespace
}  // namespace husk::memory
