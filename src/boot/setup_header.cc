#include "boot/setup_header.h"

#include <fmt/core.h>

#include "base/checked.h"
#include "base/try.h"
#include "boot/file_view.h"
#include "boot/layout.h"

namespace husk::boot {
namespace {

using namespace setup;  // NOLINT(google-build-using-namespace): this file's subject

constexpr uint16_t kProtocol212 = 0x020c;  // the first with xloadflags
constexpr uint16_t kXlfKernel64 = 1, kXlfAbove4G = 2;
constexpr uint64_t kSector = 512;
constexpr size_t kMaxRelease = 128;

// The first word of the version text, "6.1.0-56-cloud-amd64 (builder) #1 SMP ...".
std::string read_release(const FileView& file) {
  const uint64_t pointer = *file.get<uint16_t>(kKernelVersion);
  if (pointer == 0) return {};
  std::string text;
  for (uint64_t at = pointer + kSector; text.size() < kMaxRelease; ++at) {
    const auto c = file.get<char>(at);
    if (!c || *c <= ' ' || *c > '~') break;
    text += *c;
  }
  return text;
}

Result<void> check_kind(const std::string& name, const FileView& file) {
  const uint16_t version = *file.get<uint16_t>(kVersion);
  if (version < kProtocol212)
    return fail(ErrorKind::kUnsupported, name,
                fmt::format("boot protocol {}.{:02}, a 64-bit start needs 2.12", version >> 8,
                            version & 0xff));
  if ((*file.get<uint16_t>(kXloadFlags) & kXlfKernel64) == 0)
    return fail(ErrorKind::kUnsupported, name, "a 32-bit (i386) kernel, this machine is x86-64");
  if ((*file.get<uint8_t>(kLoadFlags) & kLoadedHigh) == 0)
    return fail(ErrorKind::kUnsupported, name, "a zImage that loads below 1 MiB");
  return {};
}

std::unexpected<Error> truncated(const std::string& name, uint64_t has, uint64_t needs) {
  return fail(
      ErrorKind::kCorrupt, name,
      fmt::format("truncated kernel: the file has {} bytes, its header says {}", has, needs));
}

}  // namespace

bool is_bzimage(std::span<const std::byte> file) {
  const FileView view(file);
  return view.get<uint16_t>(kBootFlag) == kBootFlagValue &&
         view.get<uint32_t>(kMagic) == kMagicValue;
}

Result<SetupHeader> parse_setup_header(const std::string& name, std::span<const std::byte> bytes) {
  const FileView file(bytes);
  if (file.size() < kHeaderEnd) return truncated(name, file.size(), kHeaderEnd);
  HUSK_TRY(check_kind(name, file));

  const uint64_t sectors = *file.get<uint8_t>(kSetupSects);
  const uint64_t setup_bytes = ((sectors == 0 ? 4 : sectors) + 1) * kSector;
  const uint64_t system_bytes = uint64_t{*file.get<uint32_t>(kSysSize)} * 16;
  const auto protected_mode = file.slice(setup_bytes, system_bytes);
  if (!protected_mode) return truncated(name, file.size(), setup_bytes + system_bytes);

  const uint64_t fields_end = kMagic + *file.get<uint8_t>(kJumpLength);
  const auto fields = file.slice(kSetupSects, fields_end - kSetupSects);
  const uint64_t load_address = *file.get<uint64_t>(kPrefAddress);
  const uint64_t init_size = *file.get<uint32_t>(kInitSize);
  if (!fields || fields_end < kHeaderEnd || fields_end > kMaxHeaderEnd ||
      load_address < kHighMemory || init_size < system_bytes || system_bytes == 0)
    return fail(ErrorKind::kCorrupt, name, "damaged setup header");

  SetupHeader header;
  header.load_address = load_address;
  header.init_size = init_size;
  header.initrd_limit = uint64_t{*file.get<uint32_t>(kInitrdAddrMax)} + 1;
  header.initrd_above_4g = (*file.get<uint16_t>(kXloadFlags) & kXlfAbove4G) != 0;
  header.command_line_limit = *file.get<uint32_t>(kCmdlineSize);
  header.release = read_release(file);
  header.fields = *fields;
  header.protected_mode = *protected_mode;
  header.payload =
      FileView(*protected_mode)
          .slice(*file.get<uint32_t>(kPayloadOffset), *file.get<uint32_t>(kPayloadLength))
          .value_or(std::span<const std::byte>{});
  return header;
}

}  // namespace husk::boot
