#include "boot/arm64/image.h"

#include <gtest/gtest.h>

#include "boot/arm64/testing/images.h"

namespace husk::boot::arm64 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

std::string refusal(const Bytes& file) {
  const auto header = parse_image("Image", file);
  EXPECT_EQ(why(open_image("Image", file, 64 * kMiB)), why(header));
  return why(header);
}

TEST(Arm64Image, ReadsEveryField) {
  Bytes file = plain_image(0x123000, 0x80000);
  const auto header = parse_image("Image", file);
  ASSERT_TRUE(header) << why(header);
  EXPECT_EQ(header->text_offset, 0x80000u);
  EXPECT_EQ(header->image_size, 0x123000u);
  EXPECT_EQ(header->page_size, PageSize::k4K);
  EXPECT_TRUE(header->anywhere);
  put<uint64_t>(file, kFlags, 0x4);
  EXPECT_EQ(parse_image("Image", file)->page_size, PageSize::k16K);
  EXPECT_FALSE(parse_image("Image", file)->anywhere);
  put<uint64_t>(file, kFlags, ~uint64_t{0} & ~uint64_t{1});
  EXPECT_EQ(parse_image("Image", file)->page_size, PageSize::k64K)
      << "reserved flags are not looked at";
}

TEST(Arm64Image, PlainBytesAreTheFiles) {
  const Bytes file = plain_image();
  const auto image = open_image("Image", file, 64 * kMiB);
  ASSERT_TRUE(image) << why(image);
  EXPECT_EQ(image->packed.wrapper, Wrapper::kNone);
  EXPECT_EQ(image->bytes.data(), file.data());
  EXPECT_EQ(image->bytes.size(), file.size());
}

TEST(Arm64Image, WhatFollowsTheImageIsLeftOut) {
  const Bytes file = plain_image(0x800);
  EXPECT_EQ(open_image("Image", file, 64 * kMiB)->bytes.size(), 0x800u);
}

TEST(Arm64Image, RefusesEveryCutHeader) {
  const Bytes file = plain_image();
  for (size_t size = 0; size < 64; ++size) {
    EXPECT_FALSE(open_image("Image", std::span(file).first(size), 64 * kMiB)) << size;
  }
  EXPECT_EQ(refusal({file.begin(), file.begin() + 63}), "Image: ends within its Image header");
  EXPECT_TRUE(open_image("Image", std::span(file).first(64), 64 * kMiB));
  EXPECT_EQ(refusal({}), "Image: not a kernel: the file is empty");
}

TEST(Arm64Image, AnEfiProgramTellsWhereItEnds) {
  const Bytes file = efi_image();
  ASSERT_TRUE(parse_image("Image", file)) << refusal(file);
  for (size_t size = 68; size < file.size(); ++size) {
    const auto header = parse_image("Image", std::span(file).first(size));
    // Below the section table's count and size there is nothing that could tell.
    if (header) {
      EXPECT_LT(size, 64u + 22) << size;
      continue;
    }
    EXPECT_EQ(why(header), "Image: ends before its sections do") << size;
  }
}

TEST(Arm64Image, AWildPeOffsetIsNoProgram) {
  Bytes file = plain_image();
  for (const uint32_t offset : {0xffff'ffffu, 4094u, 1u}) {
    put<uint32_t>(file, kPeOffset, offset);
    EXPECT_TRUE(parse_image("Image", file)) << offset;
  }
}

TEST(Arm64Image, RefusesOldKernels) {
  Bytes file = plain_image();
  put<uint64_t>(file, kImageSize, 0);
  EXPECT_EQ(refusal(file),
            "Image: a kernel older than Linux 3.17, which does not say how much memory it needs");
}

TEST(Arm64Image, RefusesBigEndianKernels) {
  Bytes file = plain_image();
  put<uint64_t>(file, kFlags, 0xb);
  EXPECT_EQ(refusal(file), "Image: a big-endian kernel");
}

TEST(Arm64Image, TellsWhatTheFileIsInstead) {
  const auto with = [](uint64_t offset, std::string_view magic) {
    Bytes file(1024);
    put_text(file, offset, magic);
    return refusal(file);
  };
  EXPECT_EQ(with(0x202, "HdrS"), "Image: a kernel for x86, this machine is aarch64");
  EXPECT_EQ(with(56, "RSC\x05"), "Image: a kernel for riscv, this machine is aarch64");
  EXPECT_EQ(with(0,
                 "\x7f"
                 "ELF"),
            "Image: an ELF file: an aarch64 kernel is started from its Image");
  EXPECT_EQ(with(0, "070701"), "Image: not a kernel but a cpio archive, an initrd perhaps");
  EXPECT_EQ(with(0, "MZ"), "Image: an EFI or DOS program, not a (whole) Linux kernel");
  EXPECT_EQ(with(0, "\x28\xb5\x2f\xfd"), "Image: not a kernel but a zstd file: unpack it first");
  EXPECT_EQ(with(0, "hello"), "Image: not an aarch64 Linux Image");
}

TEST(Arm64Image, RecognisesWhatItTakes) {
  EXPECT_TRUE(is_image(plain_image()));
  EXPECT_FALSE(is_image(Bytes(4096)));
  EXPECT_FALSE(is_image({}));
}

TEST(Arm64Image, FindsTheReleaseInTheBanner) {
  EXPECT_EQ(linux_release(plain_image()), "6.1.0-arm64");
  Bytes image(4096);
  EXPECT_EQ(linux_release(image), "");
  put_text(image, 100, "Linux version %s (%s)");
  put_text(image, 4096 - 17, "Linux version 6.9");
  EXPECT_EQ(linux_release(image), "6.9") << "a format string is no banner";
  image.resize(4096 - 3);
  EXPECT_EQ(linux_release(image), "");
  put_text(image, 200, "Linux version 5\x1b[2J");
  EXPECT_EQ(linux_release(image), "5") << "nothing that a terminal would obey";
  put_text(image, 200, "Linux version 5" + std::string(1000, '5'));
  EXPECT_EQ(linux_release(image).size(), 128u);
}

}  // namespace
}  // namespace husk::boot::arm64
