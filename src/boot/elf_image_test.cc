#include "boot/elf_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "boot/testing/images.h"

namespace husk::boot {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

const Image kCode = bytes(0x1000);

std::string parse_error(const Image& image) {
  const auto parsed = parse_elf("k", image);
  return parsed ? "" : parsed.error().message();
}

Image with_segment(const std::function<void(Elf64_Phdr&)>& change) {
  Image image = elf64(kCode);
  Elf64_Phdr header = first_segment(image);
  change(header);
  put(image, sizeof(Elf64_Ehdr), header);
  return image;
}

std::string load_error(const Image& image) {
  auto memory = guest_memory(32 * kMiB);
  const auto loaded = load_kernel(*memory, request(image));
  return loaded ? "" : loaded.error().message();
}

TEST(ElfImage, ReadsBothClasses) {
  for (const Image& file : {elf64(kCode, 0x1000010), elf32(kCode, 0x1000010)}) {
    const auto image = parse_elf("k", file);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(image->entry, kLoadAddress);
    EXPECT_EQ(image->pvh_entry, 0x1000010u);
    ASSERT_EQ(image->segments.size(), 1u);
    EXPECT_EQ(image->segments[0].physical, kLoadAddress);
    EXPECT_EQ(image->segments[0].memory_size, 0x3000u);
  }
}

TEST(ElfImage, VirtualEntryBecomesPhysical) {
  Image image = elf64(kCode);
  put(image, offsetof(Elf64_Ehdr, e_entry), uint64_t{0xffffffff81000020});
  EXPECT_EQ(parse_elf("k", image)->entry, kLoadAddress + 0x20);
  put(image, offsetof(Elf64_Ehdr, e_entry), uint64_t{0x1234});
  EXPECT_EQ(parse_error(image),
            "k: truncated or damaged ELF file: its entry 0x1234 is in no segment");
}

TEST(ElfImage, ZeroesWhatTheFileDoesNotHave) {
  auto memory = guest_memory(32 * kMiB);
  ASSERT_TRUE(memory->store<uint8_t>(Gpa{kLoadAddress + 0x2fff}, 0x5a));
  ASSERT_TRUE(load_kernel(*memory, request(elf64(kCode))));
  EXPECT_EQ(get<uint8_t>(*memory, kLoadAddress + 0x2fff), 0);
}

TEST(ElfImage, MarksWhatItWritesAsDirty) {
  auto memory = guest_memory(32 * kMiB);
  ASSERT_TRUE(memory->enable_dirty_tracking());
  ASSERT_TRUE(load_kernel(*memory, request(elf64(kCode))));
  const auto dirty = memory->take_dirty_pages().value();
  for (const uint64_t page :
       {kLoadAddress, kLoadAddress + 0x2000, kBootInfoAddress, kCommandLine, kGdtAddress})
    EXPECT_NE(std::ranges::find(dirty, Gpa{page}), dirty.end()) << page;
}

TEST(ElfImage, RefusesDamagedHeaders) {
  const auto damage = [](uint64_t offset, auto value) {
    Image image = elf64(kCode);
    put(image, offset, value);
    return parse_error(image);
  };
  const std::string prefix = "k: truncated or damaged ELF file: ";
  EXPECT_EQ(damage(EI_CLASS, uint8_t{7}), prefix + "neither 32- nor 64-bit");
  EXPECT_EQ(damage(EI_DATA, uint8_t{ELFDATA2MSB}), prefix + "not little-endian");
  EXPECT_EQ(damage(offsetof(Elf64_Ehdr, e_phoff), ~uint64_t{0} - 8),
            prefix + "it ends before its program headers");
  EXPECT_EQ(damage(offsetof(Elf64_Ehdr, e_phnum), uint16_t{0xffff}),
            prefix + "65535 program headers of 56 bytes");
  EXPECT_EQ(damage(offsetof(Elf64_Ehdr, e_phnum), uint16_t{0}),
            prefix + "nothing in it is to be loaded");
  EXPECT_EQ(damage(offsetof(Elf64_Ehdr, e_phentsize), uint16_t{32}),
            prefix + "2 program headers of 32 bytes");
}

TEST(ElfImage, RefusesDamagedSegments) {
  const std::string prefix = "k: truncated or damaged ELF file: ";
  EXPECT_EQ(parse_error(with_segment([](Elf64_Phdr& h) { h.p_offset = ~uint64_t{0}; })),
            prefix + "it ends before the segment at 0x1000000");
  EXPECT_EQ(parse_error(with_segment([](Elf64_Phdr& h) { h.p_filesz = 0x1001; })),
            prefix + "it ends before the segment at 0x1000000");
  EXPECT_EQ(parse_error(with_segment([](Elf64_Phdr& h) { h.p_memsz = 0xfff; })),
            prefix + "the segment at 0x1000000 is larger than its place");
}

TEST(ElfImage, RefusesSegmentsOutsideMemoryOrInOurWay) {
  EXPECT_EQ(load_error(with_segment([](Elf64_Phdr& h) { h.p_memsz = 20 * kMiB; })),
            "kernel: the segment at file offset 0x200 needs 20 MiB at 0x1000000, the guest has 32 "
            "MiB of memory");
  EXPECT_EQ(load_error(with_segment([](Elf64_Phdr& h) { h.p_memsz = ~uint64_t{0}; })),
            "kernel: the segment at file offset 0x200 needs 17592186044416 MiB at 0x1000000, the "
            "guest has 32 MiB of "
            "memory");
  Image low = with_segment([](Elf64_Phdr& h) { h.p_paddr = 0x8000; });
  put(low, offsetof(Elf64_Ehdr, e_entry), uint64_t{0x8000});
  EXPECT_EQ(
      load_error(low),
      "kernel: the segment at file offset 0x200 at 0x8000-0xb000 overlaps the boot information at "
      "0x7000-0x9000");
}

TEST(ElfImage, RefusesSegmentsThatOverlapEachOther) {
  Image image = elf64(kCode);
  Elf64_Phdr second = first_segment(image);
  second.p_paddr += 0x2fff;
  put(image, sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr), second);
  EXPECT_NE(load_error(image).find("overlaps the segment at file offset 0x200"), std::string::npos);
}

TEST(ElfImage, NotesWithHostileLengthsEnd) {
  Image image = elf64(kCode, 0x1000000);
  for (const uint32_t length : {0xffffffffu, 0xfffffffdu, 0x7fffffffu}) {
    put(image, 0x100, length);
    EXPECT_FALSE(parse_elf("k", image)->pvh_entry);
    put(image, 0x104, length);
    EXPECT_FALSE(parse_elf("k", image)->pvh_entry);
  }
}

TEST(ElfImage, EmptyPvhNotesAreNone) {
  Image image = elf64(kCode, 0x1000000);
  put(image, 0x118, uint32_t{0});  // n_descsz
  EXPECT_FALSE(parse_elf("k", image)->pvh_entry);
}

TEST(ElfImage, RefusesEveryTruncation) {
  const Image image = elf64(kCode, 0x1000000);
  for (size_t size = 0; size < image.size(); ++size)
    EXPECT_FALSE(parse_elf("k", std::span(image).first(size))) << size;
}

}  // namespace
}  // namespace husk::boot
