#include "boot/placement.h"

#include <gtest/gtest.h>

#include "boot/layout.h"
#include "boot/testing/images.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

TEST(Placement, NamesBothPartiesOfAnOverlap) {
  auto memory = guest_memory(8 * kMiB);
  Placement placement(*memory, "vmlinux");
  ASSERT_TRUE(placement.claim("the first", 0x200000, 0x1000));
  ASSERT_TRUE(placement.claim("what touches it", 0x201000, 0x1000));
  const auto overlap = placement.claim("the second", 0x1ff000, 0x1001);
  ASSERT_FALSE(overlap);
  EXPECT_EQ(overlap.error().message(),
            "vmlinux: the second at 0x1ff000-0x200001 overlaps the first at 0x200000-0x201000");
}

TEST(Placement, KeepsOurOwnStructures) {
  auto memory = guest_memory(8 * kMiB);
  Placement placement(*memory, "vmlinux");
  for (const uint64_t at : {kGdtAddress, kBootInfoAddress, kPageTables, kCommandLine, kAcpiTables})
    EXPECT_FALSE(placement.claim("a segment", at, 1)) << at;
}

TEST(Placement, SaysHowMuchIsNeededAndThere) {
  auto memory = guest_memory(8 * kMiB);
  Placement placement(*memory, "vmlinux");
  EXPECT_EQ(placement.claim("the kernel", 4 * kMiB, 5 * kMiB - 1).error().message(),
            "vmlinux: the kernel needs 5 MiB at 0x400000, the guest has 8 MiB of memory");
  EXPECT_FALSE(placement.claim("the kernel", ~uint64_t{0} - 10, 100));
  EXPECT_FALSE(placement.claim("the kernel", kDeviceHole, 1));
}

TEST(Placement, FindsTheHighestFreePlace) {
  auto memory = guest_memory(8 * kMiB);
  Placement placement(*memory, "vmlinux");
  EXPECT_EQ(placement.claim_highest("a", 0x1800, ~0ull).value(), 8 * kMiB - 0x2000);
  EXPECT_EQ(placement.claim_highest("b", 0x1000, ~0ull).value(), 8 * kMiB - 0x3000);
  EXPECT_EQ(placement.claim_highest("c", 0x1000, 2 * kMiB + 5).value(), 2 * kMiB - 0x1000);
  ASSERT_TRUE(placement.claim("the kernel", 4 * kMiB, 2 * kMiB));
  EXPECT_EQ(placement.claim_highest("d", 2 * kMiB, ~0ull).value(), 2 * kMiB)
      << "the kernel is in the way";
  EXPECT_FALSE(placement.claim_highest("e", 3 * kMiB, ~0ull));
  EXPECT_FALSE(placement.claim_highest("f", ~0ull, ~0ull));
  EXPECT_FALSE(placement.claim_highest("g", 1, 0x9000)) << "never below 1 MiB";
}

TEST(Placement, SizesReadWell) {
  EXPECT_EQ(readable_size(1), "1 KiB");
  EXPECT_EQ(readable_size(kMiB), "1 MiB");
  EXPECT_EQ(readable_size(kMiB + 1), "2 MiB");
}

}  // namespace
}  // namespace husk::boot
