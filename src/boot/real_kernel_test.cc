// Whole loads of a real distribution kernel, by every path that it has.
#include <gtest/gtest.h>

#include "boot/elf_image.h"
#include "boot/kernel.h"
#include "boot/layout.h"
#include "boot/testing/debian_kernel.h"
#include "boot/testing/images.h"
#include "boot/vmlinux.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

TEST(RealKernel, UnpacksToAnElfWithAPvhNote) {
  HUSK_REAL_KERNEL(kernel);
  const auto header = parse_setup_header("vmlinuz", kernel);
  ASSERT_TRUE(header) << header.error().message();
  const auto vmlinux = extract_vmlinux("vmlinuz", *header);
  ASSERT_TRUE(vmlinux) << vmlinux.error().message();
  const auto image = parse_elf("vmlinux", vmlinux->bytes.bytes());
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_TRUE(image->wide && image->x86_64);
  ASSERT_TRUE(image->pvh_entry);
  EXPECT_EQ(image->entry, header->load_address);
  EXPECT_GT(vmlinux->bytes.size(), header->payload.size());
  RecordProperty("packed", static_cast<int>(header->payload.size()));
  RecordProperty("unpacked", static_cast<int>(vmlinux->bytes.size()));
}

TEST(RealKernel, LoadsByEveryPath) {
  HUSK_REAL_KERNEL(kernel);
  const Image initrd = bytes(100'000);
  for (const BootPath path :
       {BootPath::kAuto, BootPath::kBzImage64, BootPath::kPvh, BootPath::kElf64}) {
    auto memory = guest_memory(256 * kMiB);
    KernelRequest asked = request(kernel, "console=ttyS0");
    asked.initrd = initrd;
    asked.path = path;
    const auto loaded = load_kernel(*memory, asked);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->format, KernelFormat::kBzImage);
    EXPECT_TRUE(loaded->description.starts_with("Linux " + loaded->version)) << loaded->description;
    EXPECT_FALSE(loaded->version.empty());
    if (path != BootPath::kAuto) {
      EXPECT_EQ(loaded->path, path);
    }
    EXPECT_NE(get<uint64_t>(*memory, loaded->entry.rip), 0u) << "there is code at the entry";
    EXPECT_EQ(text_at(*memory, kCommandLine), "console=ttyS0");
    RecordProperty("description", loaded->description);
  }
}

TEST(RealKernel, SaysHowMuchMemoryItNeeds) {
  HUSK_REAL_KERNEL(kernel);
  for (const BootPath path : {BootPath::kAuto, BootPath::kBzImage64}) {
    auto memory = guest_memory(32 * kMiB);
    KernelRequest asked = request(kernel);
    asked.path = path;
    const auto loaded = load_kernel(*memory, asked);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().kind, ErrorKind::kLimit);
    EXPECT_NE(loaded.error().why.find("32 MiB"), std::string::npos) << loaded.error().message();
  }
}

TEST(RealKernel, RefusesEveryTruncationAndLeavesMemoryAlone) {
  HUSK_REAL_KERNEL(kernel);
  auto memory = guest_memory(256 * kMiB);
  const auto header = parse_setup_header("vmlinuz", kernel);
  const size_t whole = static_cast<size_t>(header->protected_mode.data() - kernel.data()) +
                       header->protected_mode.size();
  for (size_t size = 0; size < whole; size += 512) {
    ASSERT_FALSE(load_kernel(*memory, request(std::span(kernel).first(size)))) << size;
  }
  EXPECT_EQ(get<uint64_t>(*memory, header->load_address), 0u);
  EXPECT_EQ(get<uint64_t>(*memory, kGdtAddress + 16), 0u);
}

TEST(RealKernel, RefusesEveryTruncationOfTheUnpackedKernel) {
  HUSK_REAL_KERNEL(kernel);
  auto memory = guest_memory(256 * kMiB);
  const auto vmlinux = extract_vmlinux("vmlinuz", *parse_setup_header("vmlinuz", kernel));
  const auto image = parse_elf("vmlinux", vmlinux->bytes.bytes());
  uint64_t whole = 0;
  for (const LoadSegment& segment : image->segments)
    whole = std::max(whole, segment.offset + segment.file_size);
  for (size_t size = 0; size < whole; size += 512) {
    ASSERT_FALSE(load_kernel(*memory, request(vmlinux->bytes.bytes().first(size)))) << size;
  }
  EXPECT_EQ(get<uint64_t>(*memory, image->entry), 0u);
}

}  // namespace
}  // namespace husk::boot
