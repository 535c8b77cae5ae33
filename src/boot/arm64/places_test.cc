#include "boot/arm64/places.h"

#include <gtest/gtest.h>

#include "boot/arm64/testing/images.h"

namespace husk::boot::arm64 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

Result<Places> choose(uint64_t ram, const ImageHeader& kernel, uint64_t initrd) {
  return choose_places(*guest_memory(ram), "Image", kernel, "initrd.img", initrd);
}

ImageHeader kernel(uint64_t size, uint64_t text_offset = 0) {
  return {text_offset, size, PageSize::k4K, true};
}

TEST(Arm64Places, KernelAtItsOffsetFromTheBase) {
  const auto plain = choose(16 * kMiB, kernel(5 * kMiB), 0);
  ASSERT_TRUE(plain) << why(plain);
  EXPECT_EQ(plain->kernel, Gpa{0x4020'0000});
  EXPECT_EQ(plain->initrd, Gpa{0});
  EXPECT_EQ(choose(16 * kMiB, kernel(5 * kMiB, 0x80000), 0)->kernel, Gpa{0x4028'0000});
}

TEST(Arm64Places, InitrdOnTheNextLargestPage) {
  EXPECT_EQ(choose(16 * kMiB, kernel(5 * kMiB), 1)->initrd, Gpa{0x4070'0000});
  EXPECT_EQ(choose(16 * kMiB, kernel(5 * kMiB + 1), 1)->initrd, Gpa{0x4071'0000});
  EXPECT_EQ(choose(16 * kMiB, kernel(5 * kMiB, 0x80000), 1)->initrd, Gpa{0x4078'0000});
}

TEST(Arm64Places, RamToTheLastByte) {
  EXPECT_TRUE(choose(16 * kMiB, kernel(14 * kMiB), 0));
  EXPECT_EQ(why(choose(16 * kMiB, kernel(14 * kMiB + 1), 0)),
            "Image: the kernel needs 15 MiB at 0x40200000, the guest has 16 MiB of memory");
  EXPECT_FALSE(choose(16 * kMiB, kernel(14 * kMiB, 1), 0));
  EXPECT_TRUE(choose(16 * kMiB, kernel(10 * kMiB), 4 * kMiB));
  EXPECT_EQ(
      why(choose(16 * kMiB, kernel(10 * kMiB), 4 * kMiB + 1)),
      "Image: the initrd initrd.img needs 5 MiB at 0x40c00000, the guest has 16 MiB of memory");
}

TEST(Arm64Places, RefusesSizesThatWrap) {
  EXPECT_EQ(choose(16 * kMiB, kernel(~uint64_t{0}), 0).error().kind, ErrorKind::kLimit);
  EXPECT_EQ(choose(16 * kMiB, kernel(~uint64_t{0} - kKernelBase + 1), 0).error().kind,
            ErrorKind::kLimit);
  EXPECT_EQ(choose(16 * kMiB, kernel(kMiB, ~uint64_t{0} - kMiB), 0).error().kind,
            ErrorKind::kCorrupt);
  EXPECT_EQ(choose(16 * kMiB, kernel(kMiB, 0x1'0000'0000), 0).error().kind, ErrorKind::kLimit);
  EXPECT_FALSE(choose(16 * kMiB, kernel(kMiB), ~uint64_t{0}));
}

TEST(Arm64Places, InitrdEndsInLinuxsWindow) {
  constexpr uint64_t kGiB = 1024 * kMiB;
  const uint64_t most = 32 * kGiB - 12 * kMiB;
  EXPECT_TRUE(choose(40 * kGiB, kernel(10 * kMiB), most));
  EXPECT_EQ(why(choose(40 * kGiB, kernel(10 * kMiB), most + 1)),
            "Image: the initrd initrd.img of 32757 MiB does not end below 0x840000000, as Linux "
            "wants it");
}

TEST(Arm64Places, TheTreeNeedsItsRoom) {
  EXPECT_EQ(why(choose(kMiB, kernel(kMiB), 0)),
            "Image: the device tree needs 2 MiB at 0x40000000, the guest has 1 MiB of memory");
  const std::vector<memory::RegionSpec> low{{Gpa{0}, 16 * kMiB}};
  const auto elsewhere = memory::GuestMemory::create(low).value();
  EXPECT_EQ(choose_places(*elsewhere, "Image", kernel(kMiB), "", 0).error().kind,
            ErrorKind::kLimit);
}

TEST(Arm64Layout, AffinitiesAreKvms) {
  EXPECT_EQ(vcpu_affinity(0), 0u);
  EXPECT_EQ(vcpu_affinity(15), 0xfu);
  EXPECT_EQ(vcpu_affinity(16), 0x100u);
  EXPECT_EQ(vcpu_affinity(63), 0x30fu);
  EXPECT_EQ(vcpu_affinity(0x1234), 0x12304u);
}

TEST(Arm64Layout, NothingOverlaps) {
  EXPECT_LE(kGicDistributor + kGicDistributorSize, kGicRedistributors);
  EXPECT_LE(kGicRedistributors + kMaxVcpus * kGicRedistributorSize, kSerial);
  EXPECT_LE(kSerial + kSerialSize, kVirtio);
  EXPECT_LE(kVirtio + kMaxVirtioDevices * kVirtioStride, kRam);
  EXPECT_LT(kSerialSpi, kVirtioFirstSpi);
}

}  // namespace
}  // namespace husk::boot::arm64
