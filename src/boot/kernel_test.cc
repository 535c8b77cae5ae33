// What is recognised, what is refused, and with which words.
#include "boot/kernel.h"

#include <gtest/gtest.h>

#include "boot/testing/images.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

const Image kCode = bytes(0x1000);

std::string detect_error(const Image& image) {
  const auto format = detect("k", image);
  return format ? "" : format.error().message();
}

std::string load_error(const KernelRequest& asked, uint64_t memory_size = 64 * kMiB) {
  auto memory = guest_memory(memory_size);
  const auto loaded = load_kernel(*memory, asked);
  return loaded ? "" : loaded.error().message();
}

Image text(std::string_view content, size_t offset = 0) {
  Image image(128);
  std::memcpy(image.data() + offset, content.data(), content.size());
  return image;
}

TEST(Detect, KnowsTheFormats) {
  EXPECT_EQ(detect("k", bzimage()), KernelFormat::kBzImage);
  EXPECT_EQ(detect("k", elf64(kCode, 0x1000000)), KernelFormat::kElfPvh);
  EXPECT_EQ(detect("k", elf32(kCode, 0x1000000)), KernelFormat::kElfPvh);
  EXPECT_EQ(detect("k", elf64(kCode)), KernelFormat::kElf64);
  Image multiboot = elf32(kCode);
  put_multiboot(multiboot, 0x200, 0);
  EXPECT_EQ(detect("k", multiboot), KernelFormat::kMultiboot);
}

TEST(Detect, SaysWhatElseAFileIs) {
  EXPECT_EQ(detect_error({}), "k: not a kernel: the file is empty");
  EXPECT_EQ(detect_error(text("#!/bin/sh")), "k: not a kernel: neither bzImage, ELF nor Multiboot");
  EXPECT_EQ(detect_error(text("ARM\x64", 56)), "k: a kernel for aarch64, this machine is x86-64");
  EXPECT_EQ(detect_error(text("RSC\x05", 56)), "k: a kernel for riscv, this machine is x86-64");
  EXPECT_EQ(detect_error(text("070701")), "k: not a kernel but a cpio archive, an initrd perhaps");
  EXPECT_EQ(detect_error(text("\x1f\x8b")), "k: not a kernel but a gzip file: unpack it first");
  EXPECT_EQ(detect_error(text("MZ")), "k: an EFI or DOS program, not a (whole) Linux kernel");
  EXPECT_EQ(detect_error({std::byte{0x7f}, std::byte{'E'}, std::byte{'L'}}),
            "k: truncated ELF file");
}

TEST(Detect, RefusesElfFilesForOtherMachines) {
  Image image = elf64(kCode);
  put(image, offsetof(Elf64_Ehdr, e_machine), uint16_t{EM_AARCH64});
  EXPECT_EQ(detect_error(image), "k: is for aarch64, this machine is x86-64");
  EXPECT_EQ(detect_error(elf32(kCode)),
            "k: a 32-bit (i386) ELF file with neither a PVH note nor a Multiboot header");
}

TEST(Load, TakesOnlyPathsThatTheFormatHas) {
  const auto with_path = [](const Image& image, BootPath path) {
    KernelRequest asked = request(image);
    asked.path = path;
    return load_error(asked);
  };
  EXPECT_EQ(with_path(elf64(kCode), BootPath::kPvh),
            "kernel: cannot be started by PVH: it has no PVH entry note");
  EXPECT_EQ(with_path(elf32(kCode, 0x1000000), BootPath::kElf64),
            "kernel: cannot be started by the 64-bit boot protocol: it is a 32-bit (i386) file");
  EXPECT_EQ(with_path(elf64(kCode), BootPath::kBzImage64),
            "kernel: cannot be started in that way: it is an ELF kernel");
  EXPECT_EQ(with_path(bzimage(), BootPath::kMultiboot),
            "kernel: cannot be started by Multiboot: it is a bzImage");
  EXPECT_EQ(with_path(bzimage(), BootPath::kPvh),
            "kernel: the kernel inside is packed in an unknown way");
  EXPECT_EQ(with_path(elf64(kCode, 0x1000000), BootPath::kElf64), "") << "despite its PVH note";
}

TEST(Load, NeedsTwoMegabytesFromZero) {
  EXPECT_EQ(load_error(request(bzimage()), kMiB),
            "kernel: needs at least 2 MiB of guest memory from address 0");
  const memory::RegionSpec high[] = {{Gpa{kMiB}, 32 * kMiB}};
  auto memory = memory::GuestMemory::create(high).value();
  EXPECT_FALSE(load_kernel(*memory, request(bzimage())));
}

TEST(Load, RefusesCommandLinesThatDoNotFit) {
  EXPECT_EQ(load_error(request(bzimage(), std::string(2047, 'x'))), "");
  EXPECT_EQ(load_error(request(bzimage(), std::string(2048, 'x'))),
            "kernel: takes a command line of 2047 bytes, this one has 2048");
  EXPECT_EQ(load_error(request(elf64(kCode), std::string(2048, 'x'))),
            "kernel: takes a command line of 2047 bytes, this one has 2048");
  EXPECT_EQ(load_error(request(bzimage(), std::string("a\0b", 3))),
            "kernel: the command line has a NUL in it");
}

TEST(Load, RefusesInitrdsThatDoNotFit) {
  const Image kernel = bzimage();
  const Image initrd = bytes(20 * kMiB);
  KernelRequest asked = request(kernel);
  asked.initrd = initrd;
  asked.initrd_name = "initrd.img";
  EXPECT_EQ(load_error(asked, 32 * kMiB),
            "kernel: no room for the initrd initrd.img of 20 MiB beside the "
            "kernel, the guest has "
            "32 MiB of memory");
  EXPECT_EQ(load_error(asked, 40 * kMiB), "");
}

// Each of these would be written somewhere before the last check of a careless loader fails.
TEST(Load, LeavesMemoryAloneWhenItRefuses) {
  Image multiboot = elf32(kCode);
  put_multiboot(multiboot, 0x200, 0);
  for (const Image& kernel : {bzimage(), elf64(kCode), elf64(kCode, 0x1000000), multiboot}) {
    auto memory = guest_memory(64 * kMiB);
    ASSERT_FALSE(load_kernel(*memory, request(kernel, std::string(70'000, 'x'))));
    for (const uint64_t at :
         {kGdtAddress + 16, kBootInfoAddress, kPageTables, kCommandLine, kLoadAddress})
      EXPECT_EQ(get<uint64_t>(*memory, at), 0u) << at;
  }
}

}  // namespace
}  // namespace husk::boot
