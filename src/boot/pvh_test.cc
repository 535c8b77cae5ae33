#include <gtest/gtest.h>

#include "boot/kernel.h"
#include "boot/testing/images.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

const Image kCode = bytes(0x1000);
constexpr uint32_t kEntry = kLoadAddress + 0x40;

TEST(Pvh, StartsInProtectedModeWithTheStartInfo) {
  auto memory = guest_memory(64 * kMiB);
  const Image kernel = elf64(kCode, kEntry);
  KernelRequest asked = request(kernel, "console=hvc0");
  asked.rsdp = Gpa{0xe0000};
  const auto loaded = load_kernel(*memory, asked);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->path, BootPath::kPvh);
  EXPECT_EQ(loaded->description, "ELF kernel, PVH entry");
  EXPECT_EQ(loaded->entry.rip, kEntry);
  EXPECT_EQ(loaded->entry.cr0 & 0x80000001, 1u) << "protected, not paged";
  const uint64_t info = loaded->entry.gpr[contract::x86::kRbx];
  EXPECT_EQ(get<uint32_t>(*memory, info), 0x336ec578u);
  EXPECT_EQ(get<uint32_t>(*memory, info + 4), 1u) << "version";
  EXPECT_EQ(get<uint32_t>(*memory, info + 12), 0u) << "no modules";
  EXPECT_EQ(text_at(*memory, get<uint64_t>(*memory, info + 24)), "console=hvc0");
  EXPECT_EQ(get<uint64_t>(*memory, info + 32), 0xe0000u);
}

TEST(Pvh, MemoryMapIsTheE820Map) {
  auto memory = guest_memory(64 * kMiB);
  ASSERT_TRUE(load_kernel(*memory, request(elf64(kCode, kEntry))));
  const uint64_t map = get<uint64_t>(*memory, kBootInfoAddress + 40);
  const auto expected = e820_map(*memory);
  ASSERT_EQ(get<uint32_t>(*memory, kBootInfoAddress + 48), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(get<uint64_t>(*memory, map + i * 24), expected[i].address);
    EXPECT_EQ(get<uint64_t>(*memory, map + i * 24 + 8), expected[i].size);
    EXPECT_EQ(get<uint32_t>(*memory, map + i * 24 + 16), expected[i].type);
  }
}

TEST(Pvh, InitrdIsTheFirstModule) {
  auto memory = guest_memory(64 * kMiB);
  const Image kernel = elf64(kCode, kEntry);
  const Image initrd = bytes(4097);
  KernelRequest asked = request(kernel);
  asked.initrd = initrd;
  ASSERT_TRUE(load_kernel(*memory, asked));
  ASSERT_EQ(get<uint32_t>(*memory, kBootInfoAddress + 12), 1u);
  const uint64_t module = get<uint64_t>(*memory, kBootInfoAddress + 16);
  EXPECT_EQ(get<uint64_t>(*memory, module), 64 * kMiB - 8192);
  EXPECT_EQ(get<uint64_t>(*memory, module + 8), 4097u);
}

TEST(Pvh, RefusesEntriesOutsideTheKernel) {
  auto memory = guest_memory(64 * kMiB);
  const auto loaded = load_kernel(*memory, request(elf64(kCode, 0x2000000)));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message(), "kernel: its PVH entry 0x2000000 is in no segment");
}

// As many regions as leave no room for their entries beside the page tables.
TEST(Pvh, MemoryMapStaysInItsPlace) {
  std::vector<memory::RegionSpec> specs{{Gpa{0}, 32 * kMiB}};
  for (uint64_t i = 0; i < 500; ++i) specs.push_back({Gpa{kAbove4G + i * kMiB}, kPageSize});
  auto memory = memory::GuestMemory::create(specs).value();
  ASSERT_TRUE(load_kernel(*memory, request(elf64(kCode, kEntry))));
  EXPECT_EQ(get<uint64_t>(*memory, kPageTables), 0u);
}

}  // namespace
}  // namespace husk::boot
