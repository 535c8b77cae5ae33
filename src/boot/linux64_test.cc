// The 64-bit boot protocol: bzImage and vmlinux, and the zero page that both get.
#include <gtest/gtest.h>

#include "boot/kernel.h"
#include "boot/testing/images.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using contract::x86::kRsi;

constexpr uint64_t kZeroPage = kBootInfoAddress;

std::string load_error(const Image& image, uint64_t memory_size = 64 * kMiB) {
  auto memory = guest_memory(memory_size);
  const auto loaded = load_kernel(*memory, request(image));
  return loaded ? "" : loaded.error().message();
}

template <class T>
Image damaged_bzimage(uint64_t offset, T value) {
  Image image = bzimage();
  put(image, offset, value);
  return image;
}

TEST(BzImage, StartsAtItsEntryWithTheZeroPage) {
  auto memory = guest_memory(64 * kMiB);
  const Image kernel = bzimage();
  const auto loaded = load_kernel(*memory, request(kernel, "console=ttyS0"));
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->path, BootPath::kBzImage64) << "its payload is of no known kind";
  EXPECT_EQ(loaded->version, "9.8.7-test");
  EXPECT_EQ(loaded->description, "Linux 9.8.7-test, bzImage");
  EXPECT_EQ(loaded->entry.rip, kLoadAddress + 0x200);
  EXPECT_EQ(get<uint8_t>(*memory, loaded->entry.rip), 0x90) << "what the file has there";
  EXPECT_EQ(loaded->entry.gpr[kRsi], kZeroPage);
  EXPECT_EQ(text_at(*memory, get<uint32_t>(*memory, kZeroPage + 0x228)), "console=ttyS0");
}

TEST(BzImage, ZeroPageHoldsTheSetupHeaderAndOurFields) {
  auto memory = guest_memory(64 * kMiB);
  const Image kernel = bzimage();
  KernelRequest asked = request(kernel);
  asked.rsdp = Gpa{0xe0000};
  ASSERT_TRUE(load_kernel(*memory, asked));
  EXPECT_EQ(get<uint32_t>(*memory, kZeroPage + 0x202), 0x53726448u);
  EXPECT_EQ(get<uint16_t>(*memory, kZeroPage + 0x206), 0x020f) << "copied from the file";
  EXPECT_EQ(get<uint8_t>(*memory, kZeroPage + 0x210), 0xff) << "type_of_loader";
  EXPECT_EQ(get<uint8_t>(*memory, kZeroPage + 0x211) & 1, 1) << "LOADED_HIGH";
  EXPECT_EQ(get<uint64_t>(*memory, kZeroPage + 0x070), 0xe0000u) << "acpi_rsdp_addr";
  EXPECT_EQ(get<uint32_t>(*memory, kZeroPage + 0x21c), 0u) << "no initrd";
  EXPECT_EQ(get<uint8_t>(*memory, kZeroPage + 0x1ef), 0) << "sentinel: the page was cleared";
  ASSERT_EQ(get<uint8_t>(*memory, kZeroPage + 0x1e8), 4) << "e820_entries";
  const uint64_t last = kZeroPage + 0x2d0 + 3 * 20;
  EXPECT_EQ(get<uint64_t>(*memory, last), 0x100000u);
  EXPECT_EQ(get<uint64_t>(*memory, last + 8), 63 * kMiB);
  EXPECT_EQ(get<uint32_t>(*memory, last + 16), 1u);
}

TEST(BzImage, InitrdGoesAsHighAsItMay) {
  const Image initrd = bytes(5000);
  auto memory = guest_memory(64 * kMiB);
  Image kernel = bzimage();
  KernelRequest asked = request(kernel);
  asked.initrd = initrd;
  ASSERT_TRUE(load_kernel(*memory, asked));
  EXPECT_EQ(get<uint32_t>(*memory, kZeroPage + 0x218), 64 * kMiB - 8192);
  EXPECT_EQ(get<uint32_t>(*memory, kZeroPage + 0x21c), 5000u);
  Image read(initrd.size());
  ASSERT_TRUE(memory->read(Gpa{64 * kMiB - 8192}, read));
  EXPECT_EQ(read, initrd);

  put(kernel, setup::kInitrdAddrMax, static_cast<uint32_t>(32 * kMiB - 1));
  asked.kernel = kernel;
  ASSERT_TRUE(load_kernel(*memory, asked));
  EXPECT_EQ(get<uint32_t>(*memory, kZeroPage + 0x218), 32 * kMiB - 8192);
}

// The limit leaves no room here; only a kernel with the flag may have its initrd beyond 4 GiB.
TEST(BzImage, InitrdGoesAbove4GiBOnlyByXloadflags) {
  const memory::RegionSpec specs[] = {{Gpa{0}, 32 * kMiB}, {Gpa{kAbove4G}, 32 * kMiB}};
  auto memory = memory::GuestMemory::create(specs).value();
  const Image initrd = bytes(20 * kMiB);
  Image kernel = bzimage();
  KernelRequest asked = request(kernel);
  asked.initrd = initrd;
  asked.initrd_name = "initrd";
  asked.initrd_name = "initrd";
  ASSERT_TRUE(load_kernel(*memory, asked));
  EXPECT_EQ(get<uint32_t>(*memory, kZeroPage + 0x218), 12 * kMiB);
  EXPECT_EQ(get<uint32_t>(*memory, kZeroPage + 0x0c0), 1u) << "ext_ramdisk_image";
  put(kernel, setup::kXloadFlags, uint16_t{1});
  asked.kernel = kernel;
  EXPECT_EQ(load_kernel(*memory, asked).error().message(),
            "kernel: no room for the initrd initrd of 20 MiB below 0x80000000 beside the kernel, "
            "the guest has "
            "64 MiB of memory");
}

TEST(BzImage, RefusesKernelsWithoutA64BitEntry) {
  EXPECT_EQ(load_error(damaged_bzimage(setup::kVersion, uint16_t{0x0204})),
            "kernel: boot protocol 2.04, a 64-bit start needs 2.12");
  EXPECT_EQ(load_error(damaged_bzimage(setup::kXloadFlags, uint16_t{0})),
            "kernel: a 32-bit (i386) kernel, this machine is x86-64");
  EXPECT_EQ(load_error(damaged_bzimage(setup::kLoadFlags, uint8_t{0})),
            "kernel: a zImage that loads below 1 MiB");
}

TEST(BzImage, RefusesKernelsThatAreTooLarge) {
  EXPECT_EQ(load_error(bzimage({}, 100 * kMiB)),
            "kernel: the kernel needs 100 MiB at 0x1000000, the guest has 64 MiB of memory");
  EXPECT_EQ(load_error(damaged_bzimage(setup::kPrefAddress, ~uint64_t{0} - 0x1000)),
            "kernel: the kernel needs 2 MiB at 0xffffffffffffefff, the guest has 64 MiB of memory");
}

TEST(BzImage, RefusesDamagedHeaders) {
  EXPECT_EQ(load_error(damaged_bzimage(setup::kSysSize, uint32_t{0x1000})),
            "kernel: truncated kernel: the file has 2048 bytes, its header says 66560");
  EXPECT_EQ(load_error(damaged_bzimage(setup::kSetupSects, uint8_t{200})),
            "kernel: truncated kernel: the file has 2048 bytes, its header says 103936");
  for (const Image& image : {damaged_bzimage(setup::kSysSize, uint32_t{0}),
                             damaged_bzimage(setup::kInitSize, uint32_t{16}),
                             damaged_bzimage(setup::kPrefAddress, uint64_t{0x1000}),
                             damaged_bzimage(setup::kJumpLength, uint8_t{1}),
                             damaged_bzimage(setup::kJumpLength, uint8_t{0xff})})
    EXPECT_EQ(load_error(image), "kernel: damaged setup header");
}

TEST(BzImage, RefusesEveryTruncation) {
  const Image kernel = bzimage(bytes(3000));
  for (size_t size = 0; size < kernel.size(); ++size)
    EXPECT_NE(load_error(Image(kernel.begin(), kernel.begin() + static_cast<ptrdiff_t>(size))), "")
        << size;
  EXPECT_EQ(load_error(kernel), "");
}

TEST(BzImage, ReleaseEndsWithTheFile) {
  Image kernel = bzimage();
  put(kernel, setup::kKernelVersion, uint16_t{0xffff});
  EXPECT_EQ(bzimage_release(kernel), "");
  put(kernel, setup::kKernelVersion, uint16_t{0});
  EXPECT_EQ(bzimage_release(kernel), "");
}

TEST(Elf64, StartsAtItsEntryWithAMadeUpHeader) {
  auto memory = guest_memory(64 * kMiB);
  const Image code = bytes(0x1000);
  const Image kernel = elf64(code);
  const auto loaded = load_kernel(*memory, request(kernel, "quiet"));
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->path, BootPath::kElf64);
  EXPECT_EQ(loaded->entry.rip, kLoadAddress);
  EXPECT_EQ(loaded->entry.gpr[kRsi], kZeroPage);
  Image read(code.size());
  ASSERT_TRUE(memory->read(Gpa{kLoadAddress}, read));
  EXPECT_EQ(read, code);
  EXPECT_EQ(get<uint32_t>(*memory, kZeroPage + 0x202), 0x53726448u);
  EXPECT_EQ(get<uint8_t>(*memory, kZeroPage + 0x210), 0xff);
}

}  // namespace
}  // namespace husk::boot
