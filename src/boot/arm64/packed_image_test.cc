#include "boot/arm64/packed_image.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "boot/arm64/image.h"
#include "boot/arm64/testing/images.h"

namespace husk::boot::arm64 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

TEST(Arm64PackedImage, UnpacksGzip) {
  const Bytes plain = plain_image(), packed = gzipped(plain);
  EXPECT_TRUE(is_image(packed));
  const auto image = open_image("vmlinuz", packed, plain.size());
  ASSERT_TRUE(image) << why(image);
  EXPECT_EQ(image->packed.wrapper, Wrapper::kGzip);
  EXPECT_TRUE(std::ranges::equal(image->bytes, plain));
  EXPECT_EQ(image->header.image_size, 2 * kMiB);
}

TEST(Arm64PackedImage, RefusesDamagedGzip) {
  constexpr auto kDamaged = "Image: the kernel inside (gzip) is damaged";
  const Bytes packed = gzipped(plain_image());
  for (size_t size = 2; size < packed.size(); ++size) {
    const auto image = open_image("Image", std::span(packed).first(size), 64 * kMiB);
    ASSERT_FALSE(image) << size;
    EXPECT_TRUE(image.error().kind == ErrorKind::kCorrupt ||
                image.error().kind == ErrorKind::kLimit)
        << image.error().message();
  }
  Bytes wrong = packed;
  wrong[wrong.size() - 6] ^= std::byte{1};  // the checksum
  EXPECT_EQ(why(open_image("Image", wrong, 64 * kMiB)), kDamaged);
  for (const int32_t by : {-1, 1}) {
    wrong = packed;
    put<uint32_t>(wrong, wrong.size() - 4, static_cast<uint32_t>(4096 + by));
    EXPECT_EQ(why(open_image("Image", wrong, 64 * kMiB)), kDamaged) << by;
  }
  wrong = packed;
  put<uint32_t>(wrong, wrong.size() - 4, 0);
  EXPECT_EQ(why(open_image("Image", wrong, 64 * kMiB)), kDamaged);
}

TEST(Arm64PackedImage, RefusesToUnpackTooMuch) {
  Bytes packed = gzipped(plain_image());
  EXPECT_EQ(why(open_image("Image", packed, 4095)),
            "Image: the kernel inside unpacks to 4 KiB, there is room for 4 KiB");
  put<uint32_t>(packed, packed.size() - 4, 0xffff'ffff);
  EXPECT_EQ(why(open_image("Image", packed, ~uint64_t{0})),
            "Image: the kernel inside unpacks to 4096 MiB, there is room for 1024 MiB");
}

TEST(Arm64PackedImage, WhatGzipWrapsIsCheckedToo) {
  Bytes plain = plain_image();
  put<uint64_t>(plain, kImageSize, 0);
  EXPECT_EQ(open_image("Image", gzipped(plain), 64 * kMiB).error().kind, ErrorKind::kUnsupported);
  put<uint32_t>(plain, kMagic, 0);
  EXPECT_EQ(why(open_image("Image", gzipped(plain), 64 * kMiB)),
            "Image: not an aarch64 Linux Image");
  EXPECT_EQ(why(open_image("Image", gzipped(gzipped(plain_image())), 64 * kMiB)),
            "Image: not a kernel but a gzip file: unpack it first");
}

TEST(Arm64PackedImage, UnpacksZboot) {
  const Bytes plain = plain_image();
  const auto size = static_cast<uint32_t>(plain.size());
  for (const auto& [file, compression] : {std::pair{zboot(gzipped(plain), {}), Compression::kGzip},
                                          {zboot(zstd_packed(plain), size), Compression::kZstd}}) {
    EXPECT_TRUE(is_image(file));
    const auto image = open_image("vmlinuz", file, plain.size());
    ASSERT_TRUE(image) << why(image);
    EXPECT_EQ(image->packed.wrapper, Wrapper::kZboot);
    EXPECT_EQ(image->packed.compression, compression);
    EXPECT_TRUE(std::ranges::equal(image->bytes, plain));
  }
}

TEST(Arm64PackedImage, RefusesCutZboot) {
  const Bytes plain = plain_image();
  for (const Bytes& file : {zboot(gzipped(plain), {}),
                            zboot(zstd_packed(plain), static_cast<uint32_t>(plain.size()))}) {
    for (size_t size = 0; size < file.size(); ++size) {
      const auto image = open_image("vmlinuz", std::span(file).first(size), 64 * kMiB);
      ASSERT_FALSE(image) << size;
      if (size >= 8) {
        EXPECT_EQ(why(image), "vmlinuz: ends before its zboot payload does") << size;
      }
    }
  }
}

TEST(Arm64PackedImage, RefusesZbootThatLies) {
  const Bytes plain = plain_image();
  Bytes file = zboot(zstd_packed(plain), static_cast<uint32_t>(plain.size()));
  put<uint32_t>(file, 8, 0xffff'ffff);
  EXPECT_EQ(why(open_image("vmlinuz", file, 64 * kMiB)),
            "vmlinuz: ends before its zboot payload does");
  put<uint32_t>(file, 8, 0x100);
  EXPECT_EQ(why(open_image("vmlinuz", file, 64 * kMiB)),
            "vmlinuz: the kernel inside is packed in an unknown way");
  for (const uint32_t claimed : {0u, 4095u, 4097u}) {
    EXPECT_EQ(why(open_image("vmlinuz", zboot(zstd_packed(plain), claimed), 64 * kMiB)),
              "vmlinuz: the kernel inside (zstd) is damaged")
        << claimed;
  }
  EXPECT_EQ(open_image("vmlinuz", zboot(zstd_packed(plain), 0xffff'ffff), 64 * kMiB).error().kind,
            ErrorKind::kLimit);
}

TEST(Arm64PackedImage, AWrapperInAWrapperIsNoImage) {
  const Bytes inner = zboot(gzipped(plain_image()), {});
  EXPECT_EQ(why(open_image("vmlinuz", gzipped(inner), 64 * kMiB)),
            "vmlinuz: an EFI or DOS program, not a (whole) Linux kernel");
}

}  // namespace
}  // namespace husk::boot::arm64
