#include "boot/multiboot.h"

#include <gtest/gtest.h>

#include "boot/testing/images.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
namespace x86 = contract::x86;

constexpr uint64_t kHeaderAt = 0x200;

Image multiboot_elf(bool wide, uint32_t flags = 3) {
  Image image = wide ? elf64(bytes(0x1000)) : elf32(bytes(0x1000));
  put_multiboot(image, kHeaderAt, flags);
  return image;
}

// A file that is not ELF: the header says where it goes.
Image multiboot_flat(uint32_t load, uint32_t load_end, uint32_t bss_end, uint32_t entry) {
  Image image = bytes(0x400);
  put_multiboot(image, 0x20, 1u << 16);
  for (const auto& [offset, value] : {std::pair{0x2c, load + 0x20},
                                      {0x30, load},
                                      {0x34, load_end},
                                      {0x38, bss_end},
                                      {0x3c, entry}})
    put(image, static_cast<uint64_t>(offset), value);
  return image;
}

std::string load_error(const Image& image) {
  auto memory = guest_memory(64 * kMiB);
  const auto loaded = load_kernel(*memory, request(image));
  return loaded ? "" : loaded.error().message();
}

TEST(Multiboot, LoadsElfFilesOfBothClasses) {
  for (const bool wide : {false, true}) {
    auto memory = guest_memory(64 * kMiB);
    const auto loaded = load_kernel(*memory, request(multiboot_elf(wide), "-smp 2"));
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->format, KernelFormat::kMultiboot);
    EXPECT_EQ(loaded->entry.rip, kLoadAddress);
    EXPECT_EQ(loaded->entry.gpr[x86::kRax], 0x2badb002u);
    EXPECT_EQ(loaded->entry.gpr[x86::kRbx], kBootInfoAddress);
    EXPECT_EQ(loaded->entry.cr0 & 0x80000001, 1u);
    EXPECT_EQ(loaded->entry.efer, 0u);
    EXPECT_EQ(text_at(*memory, get<uint32_t>(*memory, kBootInfoAddress + 16)), "kernel -smp 2");
  }
}

TEST(Multiboot, InformationSaysWhatMemoryThereIs) {
  auto memory = guest_memory(64 * kMiB);
  ASSERT_TRUE(load_kernel(*memory, request(multiboot_elf(false))));
  EXPECT_EQ(get<uint32_t>(*memory, kBootInfoAddress) & 0x4d, 0x4du)
      << "memory, command line, modules, map";
  EXPECT_EQ(get<uint32_t>(*memory, kBootInfoAddress + 4), 639u) << "KiB below the reserved area";
  EXPECT_EQ(get<uint32_t>(*memory, kBootInfoAddress + 8), 63u * 1024);
  EXPECT_EQ(get<uint32_t>(*memory, kBootInfoAddress + 20), 0u) << "no modules";
  const uint32_t length = get<uint32_t>(*memory, kBootInfoAddress + 44);
  const uint32_t map = get<uint32_t>(*memory, kBootInfoAddress + 48);
  uint64_t available = 0;
  for (uint32_t at = map; at < map + length; at += 4 + get<uint32_t>(*memory, at)) {
    if (get<uint32_t>(*memory, at + 20) == 1) available += get<uint64_t>(*memory, at + 12);
  }
  EXPECT_EQ(available, 63 * kMiB + 0x9fc00);
  EXPECT_EQ(text_at(*memory, get<uint32_t>(*memory, kBootInfoAddress + 64)), "husk");
}

TEST(Multiboot, InitrdIsAModule) {
  auto memory = guest_memory(64 * kMiB);
  const Image kernel = multiboot_elf(false);
  const Image initrd = bytes(100);
  KernelRequest asked = request(kernel);
  asked.initrd = initrd;
  asked.initrd_name = std::string(1000, 'n');
  ASSERT_TRUE(load_kernel(*memory, asked));
  ASSERT_EQ(get<uint32_t>(*memory, kBootInfoAddress + 20), 1u);
  const uint32_t module = get<uint32_t>(*memory, kBootInfoAddress + 24);
  EXPECT_EQ(get<uint32_t>(*memory, module), 64 * kMiB - 4096);
  EXPECT_EQ(get<uint32_t>(*memory, module + 4), 64 * kMiB - 4096 + 100);
  EXPECT_EQ(text_at(*memory, get<uint32_t>(*memory, module + 8)), std::string(0x15f, 'n'));
}

TEST(Multiboot, LoadsByTheHeadersAddresses) {
  auto memory = guest_memory(64 * kMiB);
  const Image image = multiboot_flat(0x200000, 0x200300, 0x201000, 0x200010);
  ASSERT_TRUE(memory->store<uint32_t>(Gpa{0x200ffc}, 0x5a5a5a5a));
  const auto loaded = load_kernel(*memory, request(image));
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->entry.rip, 0x200010u);
  EXPECT_EQ(get<uint32_t>(*memory, 0x200020), 0x1badb002u);
  EXPECT_EQ(get<uint8_t>(*memory, 0x2002ff), static_cast<uint8_t>(image[0x2ff]));
  EXPECT_EQ(get<uint8_t>(*memory, 0x200300), 0) << "beyond load_end_addr there is bss";
  EXPECT_EQ(get<uint32_t>(*memory, 0x200ffc), 0u);
}

TEST(Multiboot, ZeroAddressesMeanTheWholeFileAndNoBss) {
  auto memory = guest_memory(64 * kMiB);
  const Image image = multiboot_flat(0x200000, 0, 0, 0x200010);
  ASSERT_TRUE(load_kernel(*memory, request(image)));
  EXPECT_EQ(get<uint8_t>(*memory, 0x2003ff), static_cast<uint8_t>(image[0x3ff]));
}

TEST(Multiboot, RefusesWrongAddresses) {
  const std::string prefix = "kernel: truncated or damaged Multiboot kernel: ";
  Image image = multiboot_flat(0x200000, 0, 0, 0x200010);
  put(image, 0x30, uint32_t{0x200021});
  EXPECT_EQ(load_error(image), prefix + "its load address is wrong");
  put(image, 0x30, uint32_t{0x100000});
  EXPECT_EQ(load_error(image), prefix + "its load address is wrong") << "before the file's start";
  EXPECT_EQ(load_error(multiboot_flat(0x200000, 0x1fffff, 0, 0x200010)),
            prefix + "its data end before they begin");
  EXPECT_EQ(load_error(multiboot_flat(0x200000, 0x200401, 0, 0x200010)),
            prefix + "it ends before its data do");
  EXPECT_EQ(load_error(multiboot_flat(0x200000, 0, 0, 0x200400)),
            prefix + "its entry lies outside");
  EXPECT_EQ(load_error(multiboot_flat(0xfffff000, 0, 0, 0xfffff000)),
            "kernel: the segment at file offset 0x0 needs 1 KiB at 0xfffff000, the guest has 64 "
            "MiB of memory");
}

TEST(Multiboot, RefusesFeaturesThatItMustKnow) {
  EXPECT_EQ(
      load_error(multiboot_elf(false, 4)),
      "kernel: the Multiboot header requires features that this machine lacks: 0x4 (a video mode)");
  Image image(0x400);
  put_multiboot(image, 0, 0);
  EXPECT_EQ(load_error(image),
            "kernel: a Multiboot kernel that is not ELF and has no load address");
}

TEST(Multiboot, HeaderIsAlignedInTheFirst8KiBWithAChecksum) {
  Image image(16384);
  put_multiboot(image, 8180, 0);
  EXPECT_EQ(find_multiboot(image)->offset, 8180u);
  put(image, 8184, uint32_t{1});
  EXPECT_FALSE(find_multiboot(image)) << "a wrong checksum";
  image.assign(16384, {});
  put_multiboot(image, 8184, 0);
  EXPECT_FALSE(find_multiboot(image)) << "it must lie within, wholly";
  image.assign(16384, {});
  put_multiboot(image, 18, 0);
  EXPECT_FALSE(find_multiboot(image)) << "unaligned";
}

}  // namespace
}  // namespace husk::boot
