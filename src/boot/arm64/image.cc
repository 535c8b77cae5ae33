#include "boot/arm64/image.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/try.h"
#include "boot/file_view.h"
#include "boot/foreign.h"

namespace husk::boot::arm64 {
namespace {

enum Field : uint64_t {
  kTextOffset = 8,
  kImageSize = 16,
  kFlags = 24,
  kMagic = 56,
  kPeOffset = 60
};
constexpr uint64_t kHeaderSize = 64;
constexpr uint32_t kMagicValue = 0x644d5241;  // "ARM\x64"
constexpr uint64_t kBigEndian = 1, kPageSizeShift = 1, kAnywhere = 8;

constexpr std::array kForeign{
    Foreign{0x202, "HdrS", ErrorKind::kUnsupported, "a kernel for x86, this machine is aarch64"},
    Foreign{56, "RSC\x05", ErrorKind::kUnsupported, "a kernel for riscv, this machine is aarch64"},
    Foreign{0,
            "\x7f"
            "ELF",
            ErrorKind::kUnsupported, "an ELF file: an aarch64 kernel is started from its Image"},
    kCpioArchive,
    kEfiProgram,
};

bool has_magic(std::span<const std::byte> file) {
  return FileView(file).get<uint32_t>(kMagic) == kMagicValue;
}

// The last byte that the file's sections have in it (PE/COFF specification, 3 and 4), when it is an
// EFI program too: what tells a whole file from one that was cut, for the Image header does not.
std::optional<uint64_t> end_of_sections(const FileView& file) {
  constexpr uint32_t kSignature = 0x4550;  // "PE\0\0"
  constexpr uint64_t kSectionCount = 6, kOptionalSize = 20, kCoffEnd = 24;
  constexpr uint64_t kSectionSize = 40, kRawSize = 16, kRawOffset = 20;
  const uint64_t pe = file.get<uint32_t>(kPeOffset).value_or(0);
  if (pe == 0 || file.get<uint32_t>(pe) != kSignature) return std::nullopt;
  const auto count = file.get<uint16_t>(pe + kSectionCount);
  const auto optional_size = file.get<uint16_t>(pe + kOptionalSize);
  if (!count || !optional_size) return std::nullopt;
  uint64_t end = 0;
  for (uint64_t i = 0; i < *count; ++i) {
    const uint64_t section = pe + kCoffEnd + *optional_size + i * kSectionSize;
    const auto size = file.get<uint32_t>(section + kRawSize);
    const auto offset = file.get<uint32_t>(section + kRawOffset);
    if (!size || !offset) return ~uint64_t{0};
    end = std::max(end, uint64_t{*size} + *offset);
  }
  return end;
}

}  // namespace

bool is_image(std::span<const std::byte> file) {
  return has_magic(file) || detect_wrapper(file) != Wrapper::kNone;
}

Result<ImageHeader> parse_image(const std::string& name, std::span<const std::byte> file) {
  if (!has_magic(file)) return foreign_file(name, file, kForeign, "not an aarch64 Linux Image");
  const FileView view(file);
  const auto flags = view.get<uint64_t>(kFlags);
  const auto text_offset = view.get<uint64_t>(kTextOffset);
  const auto image_size = view.get<uint64_t>(kImageSize);
  if (file.size() < kHeaderSize || !flags || !text_offset || !image_size)
    return fail(ErrorKind::kCorrupt, name, "ends within its Image header");
  if (*image_size == 0)
    return fail(ErrorKind::kUnsupported, name,
                "a kernel older than Linux 3.17, which does not say how much memory it needs");
  if ((*flags & kBigEndian) != 0) return fail(ErrorKind::kUnsupported, name, "a big-endian kernel");
  if (end_of_sections(view).value_or(0) > file.size())
    return fail(ErrorKind::kCorrupt, name, "ends before its sections do");
  return ImageHeader{*text_offset, *image_size, static_cast<PageSize>(*flags >> kPageSizeShift & 3),
                     (*flags & kAnywhere) != 0};
}

Result<Image> open_image(const std::string& name, std::span<const std::byte> file, uint64_t limit) {
  Image image;
  image.bytes = file;
  if (detect_wrapper(file) != Wrapper::kNone) {
    image.packed = HUSK_TRY(find_packed(name, file));
    image.unpacked = HUSK_TRY(unpack(name, image.packed, limit));
    image.bytes = image.unpacked.bytes();
  }
  image.header = HUSK_TRY(parse_image(name, image.bytes));
  // A signature may follow the image in its file.
  image.bytes = image.bytes.first(std::min<uint64_t>(image.bytes.size(), image.header.image_size));
  return image;
}

std::string linux_release(std::span<const std::byte> image) {
  constexpr std::string_view kBanner = "Linux version ";
  constexpr size_t kMaxRelease = 128;
  std::string_view text(reinterpret_cast<const char*>(image.data()), image.size());
  // Its first appearance may be a format string of the kernel's.
  for (size_t at = 0; (at = text.find(kBanner, at)) != text.npos;) {
    at += kBanner.size();
    const auto printable = [](char c) { return c > ' ' && c <= '~'; };
    const auto word = text.substr(at, kMaxRelease);
    const auto end = std::ranges::find_if_not(word, printable);
    if (end != word.begin() && *word.begin() >= '0' && *word.begin() <= '9')
      return {word.begin(), end};
  }
  return {};
}

}  // namespace husk::boot::arm64
