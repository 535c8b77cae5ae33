#include "boot/arm64/kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "boot/arm64/testing/images.h"
#include "boot/arm64/testing/tree_reader.h"

namespace husk::boot::arm64 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::ElementsAre;

Bytes bytes_at(const memory::GuestMemory& memory, uint64_t gpa, size_t size) {
  const auto span = memory.host_span(Gpa{gpa}, size).value();
  return {span.begin(), span.end()};
}

TreeReader tree_of(const memory::GuestMemory& memory) {
  return TreeReader(bytes_at(memory, kDeviceTree, 2 * kMiB));
}

bool untouched(const memory::GuestMemory& memory) {
  const auto all = memory.host_span(Gpa{kRam}, memory.size()).value();
  return std::ranges::all_of(all, [](std::byte b) { return b == std::byte{0}; });
}

TEST(Arm64Kernel, LoadsEverythingAtItsPlace) {
  const Bytes kernel = plain_image(3 * kMiB, 0x80000), initrd(5000, std::byte{0x77});
  auto memory = guest_memory(16 * kMiB);
  KernelRequest asked = request(kernel);
  asked.initrd = initrd;
  asked.initrd_name = "initrd.img";
  asked.command_line = "console=ttyAMA0";
  asked.machine = machine(2, 1);
  const auto loaded = load_kernel(*memory, asked);
  ASSERT_TRUE(loaded) << why(loaded);
  EXPECT_EQ(bytes_at(*memory, 0x4028'0000, kernel.size()), kernel);
  EXPECT_EQ(bytes_at(*memory, 0x4058'0000, initrd.size()), initrd);
  const TreeReader tree = tree_of(*memory);
  EXPECT_TRUE(tree.has_node("/cpus/cpu@1"));
  EXPECT_TRUE(tree.has_node("/virtio_mmio@a000000"));
  EXPECT_EQ(tree.text("/chosen", "bootargs"), "console=ttyAMA0");
  EXPECT_THAT(tree.quads("/chosen", "linux,initrd-start"), ElementsAre(0x4058'0000));
  EXPECT_THAT(tree.quads("/chosen", "linux,initrd-end"), ElementsAre(0x4058'0000 + 5000));
  EXPECT_THAT(tree.quads("/memory@40000000", "reg"), ElementsAre(kRam, 16 * kMiB));
}

TEST(Arm64Kernel, EntryIsWhatLinuxAsksFor) {
  const Bytes kernel = plain_image(3 * kMiB, 0x80000);
  auto memory = guest_memory(16 * kMiB);
  const auto loaded = load_kernel(*memory, request(kernel));
  ASSERT_TRUE(loaded) << why(loaded);
  contract::aarch64::VcpuState expected;
  expected.x[0] = 0x4000'0000;
  expected.pc = 0x4028'0000;
  expected.pstate = 0x3c5;
  expected.power = contract::aarch64::Power::kOn;
  EXPECT_EQ(loaded->entry, expected);
}

TEST(Arm64Kernel, SaysWhatItLoaded) {
  const Bytes plain = plain_image();
  auto memory = guest_memory(16 * kMiB);
  const auto loaded = load_kernel(*memory, request(plain));
  EXPECT_EQ(loaded->format, KernelFormat::kImage);
  EXPECT_EQ(loaded->version, "6.1.0-arm64");
  EXPECT_EQ(loaded->description, "Linux 6.1.0-arm64, Image");
  Bytes nameless = plain;
  put<char>(nameless, 1024, 'l');
  const Bytes packed = gzipped(nameless);
  const auto unpacked = load_kernel(*memory, request(packed));
  EXPECT_EQ(unpacked->format, KernelFormat::kGzipImage);
  EXPECT_EQ(unpacked->description, "Linux, Image, unpacked (gzip)");
  EXPECT_EQ(bytes_at(*memory, kKernelBase, nameless.size()), nameless);
  const Bytes wrapped = zboot(zstd_packed(plain), static_cast<uint32_t>(plain.size()));
  const auto unwrapped = load_kernel(*memory, request(wrapped));
  EXPECT_EQ(unwrapped->format, KernelFormat::kZbootImage);
  EXPECT_EQ(unwrapped->description, "Linux 6.1.0-arm64, Image, unpacked (zstd)");
}

TEST(Arm64Kernel, DetectsWithoutLoading) {
  EXPECT_EQ(detect("Image", plain_image()).value(), KernelFormat::kImage);
  EXPECT_EQ(detect("Image", gzipped(plain_image())).value(), KernelFormat::kGzipImage);
  EXPECT_EQ(detect("Image", zboot(gzipped(plain_image()), {})).value(), KernelFormat::kZbootImage);
  EXPECT_EQ(why(detect("notes", Bytes(100))), "notes: not an aarch64 Linux Image");
}

TEST(Arm64Kernel, WithoutAnInitrdTheTreeHasNone) {
  const Bytes kernel = plain_image();
  auto memory = guest_memory(16 * kMiB);
  ASSERT_TRUE(load_kernel(*memory, request(kernel)));
  EXPECT_FALSE(tree_of(*memory).bytes("/chosen", "linux,initrd-start"));
}

TEST(Arm64Kernel, TakesLinuxsLongestCommandLine) {
  const Bytes kernel = plain_image();
  auto memory = guest_memory(16 * kMiB);
  KernelRequest asked = request(kernel);
  asked.command_line.assign(2048, 'x');
  EXPECT_EQ(why(load_kernel(*memory, asked)),
            "Image: takes a command line of 2047 bytes, this one has 2048");
  EXPECT_TRUE(untouched(*memory));
  asked.command_line.pop_back();
  ASSERT_TRUE(load_kernel(*memory, asked));
  EXPECT_EQ(tree_of(*memory).text("/chosen", "bootargs").size(), 2047u);
}

TEST(Arm64Kernel, RefusalsLeaveMemoryAlone) {
  const Bytes good = plain_image(), large = plain_image(15 * kMiB), packed = gzipped(good);
  const Bytes initrd(14 * kMiB);
  auto memory = guest_memory(16 * kMiB);
  std::vector<KernelRequest> refused;
  refused.push_back(request(large));
  refused.push_back(request(std::span(good).first(60)));
  refused.push_back(request(std::span(packed).first(packed.size() - 1)));
  refused.push_back(request(good));
  refused.back().initrd = initrd;
  refused.push_back(request(good));
  refused.back().machine.cpus.clear();
  refused.push_back(request(good));
  refused.back().command_line = std::string("a\0b", 3);
  for (const KernelRequest& asked : refused) {
    const auto loaded = load_kernel(*memory, asked);
    EXPECT_FALSE(loaded);
    EXPECT_EQ(loaded.error().subject, "Image");
    EXPECT_TRUE(untouched(*memory)) << loaded.error().message();
  }
}

TEST(Arm64Kernel, AKernelLargerThanMemoryIsNotUnpacked) {
  const Bytes packed = gzipped(Bytes(5 * kMiB));
  auto memory = guest_memory(4 * kMiB);
  EXPECT_EQ(why(load_kernel(*memory, request(packed))),
            "Image: the kernel inside unpacks to 5 MiB, there is room for 4 MiB");
}

}  // namespace
}  // namespace husk::boot::arm64
