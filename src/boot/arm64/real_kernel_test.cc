// The real kernel that HUSK_TEST_KERNEL_ARM64 names: what a distribution ships, not what we made.
#include <gtest/gtest.h>

#include <cstdlib>

#include "boot/arm64/image.h"
#include "boot/arm64/testing/images.h"
#include "boot/arm64/testing/tree_reader.h"
#include "boot/testing/debian_kernel.h"

namespace husk::boot::arm64 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

class Arm64RealKernel : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("HUSK_TEST_KERNEL_ARM64");
    if (path == nullptr || *path == '\0') GTEST_SKIP() << "HUSK_TEST_KERNEL_ARM64 names no kernel";
    kernel = boot::testing::read_kernel(path);
  }
  Bytes kernel;
};

TEST_F(Arm64RealKernel, IsAnEfiStubImageWithARelease) {
  const auto image = open_image("vmlinuz", kernel, 256 * kMiB);
  ASSERT_TRUE(image) << why(image);
  EXPECT_GE(image->header.image_size, image->bytes.size());
  EXPECT_NE(image->header.page_size, PageSize::kUnspecified);
  EXPECT_TRUE(linux_release(image->bytes).ends_with("arm64")) << linux_release(image->bytes);
}

TEST_F(Arm64RealKernel, LoadsWithAnInitrdAndUnpacksToTheSame) {
  const Bytes initrd(100'000, std::byte{0x42});
  auto memory = guest_memory(256 * kMiB);
  KernelRequest asked = request(kernel);
  asked.initrd = initrd;
  const auto plain = load_kernel(*memory, asked);
  ASSERT_TRUE(plain) << why(plain);
  EXPECT_EQ(plain->description, "Linux " + plain->version + ", Image");
  const auto first = memory->load<uint64_t>(Gpa{plain->entry.pc}).value();

  const Bytes packed = gzipped(kernel);
  auto other = guest_memory(256 * kMiB);
  asked.kernel = packed;
  const auto unpacked = load_kernel(*other, asked);
  ASSERT_TRUE(unpacked) << why(unpacked);
  EXPECT_EQ(unpacked->entry, plain->entry);
  EXPECT_EQ(unpacked->version, plain->version);
  EXPECT_EQ(other->load<uint64_t>(Gpa{unpacked->entry.pc}).value(), first);
}

TEST_F(Arm64RealKernel, RefusesEveryTruncation) {
  auto memory = guest_memory(256 * kMiB);
  for (size_t size = 0; size < kernel.size(); size += 64 * 1024)
    ASSERT_FALSE(load_kernel(*memory, request(std::span(kernel).first(size)))) << size;
  EXPECT_EQ(memory->load<uint64_t>(Gpa{kKernelBase}).value(), 0u);
}

TEST_F(Arm64RealKernel, SaysHowMuchMemoryItNeeds) {
  auto memory = guest_memory(16 * kMiB);
  const auto loaded = load_kernel(*memory, request(kernel));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().kind, ErrorKind::kLimit);
  EXPECT_NE(loaded.error().why.find("16 MiB"), std::string::npos) << loaded.error().message();
}

}  // namespace
}  // namespace husk::boot::arm64
