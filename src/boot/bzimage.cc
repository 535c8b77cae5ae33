#include "boot/bzimage.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/try.h"
#include "boot/entry_state.h"
#include "boot/file_view.h"
#include "boot/layout.h"
#include "boot/placement.h"

namespace husk::boot {
namespace {

// Offsets in the setup header, which are those in boot_params too.
enum HeaderField : uint64_t {
  kSetupSects = 0x1f1, kBootFlag = 0x1fe, kJump = 0x200, kMagic = 0x202, kVersion = 0x206, kKernelVersion = 0x20e,
  kTypeOfLoader = 0x210, kLoadFlags = 0x211, kRamdiskImage = 0x218, kRamdiskSize = 0x21c, kCmdLinePtr = 0x228,
  kInitrdAddrMax = 0x22c, kRelocatable = 0x234, kXloadFlags = 0x236, kCmdlineSize = 0x238, kPrefAddress = 0x258,
  kInitSize = 0x260,
};
// Offsets in boot_params outside the header.
enum ParamsField : uint64_t { kAcpiRsdp = 0x070, kE820Entries = 0x1e8, kE820Table = 0x2d0 };

constexpr uint32_t kHdrS = 0x53726448;
constexpr uint16_t kProtocol212 = 0x020c;
constexpr uint16_t kXlfKernel64 = 1;
constexpr uint8_t kUndefinedLoader = 0xff;
constexpr uint8_t kLoadedHigh = 1, kQuiet = 1 << 5;
constexpr uint64_t kEntry64 = 0x200;
constexpr size_t kMaxE820 = 128;
constexpr size_t kParamsSize = 4096;

struct Header {
  uint64_t setup_bytes = 0;
  uint64_t load_address = 0;
  uint64_t init_size = 0;
  uint64_t initrd_limit = 0;
  uint64_t command_line_limit = 0;
};

Result<Header> read_header(const KernelRequest& request) {
  const FileView file(request.kernel);
  const auto truncated = [&] { return fail(ErrorKind::kCorrupt, request.name, "truncated kernel image"); };
  const auto version = file.get<uint16_t>(kVersion);
  const auto flags = file.get<uint16_t>(kXloadFlags);
  const auto preferred = file.get<uint64_t>(kPrefAddress);
  const auto init_size = file.get<uint32_t>(kInitSize);
  if (!version || !init_size || !flags || !preferred) return truncated();
  if (*version < kProtocol212 || (*flags & kXlfKernel64) == 0)
    return fail(ErrorKind::kUnsupported, request.name, "not a 64-bit kernel (boot protocol 2.12 with a 64-bit entry)");
  const uint8_t sectors = *file.get<uint8_t>(kSetupSects);
  Header header;
  header.setup_bytes = (sectors == 0 ? 4u : sectors) * 512u + 512u;
  header.load_address = *preferred;
  header.init_size = *init_size;
  header.initrd_limit = uint64_t{*file.get<uint32_t>(kInitrdAddrMax)} + 1;
  header.command_line_limit = *file.get<uint32_t>(kCmdlineSize);
  if (request.kernel.size() <= header.setup_bytes) return truncated();
  return header;
}

Result<void> write_boot_params(memory::GuestMemory& memory, const KernelRequest& request, uint64_t initrd) {
  std::array<std::byte, kParamsSize> params{};
  const auto put = [&]<class T>(uint64_t offset, T value) { std::memcpy(params.data() + offset, &value, sizeof(T)); };
  // The header's own length is in its jump instruction.
  const FileView file(request.kernel);
  const uint64_t header_end = kMagic + *file.get<uint8_t>(kJump + 1);
  const auto header = file.slice(kSetupSects, header_end - kSetupSects);
  if (!header || header_end > kE820Table) return fail(ErrorKind::kCorrupt, request.name, "bad setup header");
  std::copy(header->begin(), header->end(), params.begin() + kSetupSects);
  put(kTypeOfLoader, kUndefinedLoader);
  put(kLoadFlags, static_cast<uint8_t>(*file.get<uint8_t>(kLoadFlags) | kLoadedHigh | kQuiet));
  put(kCmdLinePtr, static_cast<uint32_t>(kCommandLine));
  put(kRamdiskImage, static_cast<uint32_t>(initrd));
  put(kRamdiskSize, static_cast<uint32_t>(request.initrd.size()));
  put(kAcpiRsdp, request.rsdp.value);
  const auto map = e820_map(memory);
  const size_t entries = std::min(map.size(), kMaxE820);
  put(kE820Entries, static_cast<uint8_t>(entries));
  for (size_t i = 0; i < entries; ++i) {
    const uint64_t at = kE820Table + i * 20;
    put(at, map[i].address);
    put(at + 8, map[i].size);
    put(at + 16, map[i].type);
  }
  return memory.write(Gpa{kBootInfoAddress}, params);
}

}  // namespace

bool is_bzimage(std::span<const std::byte> kernel) {
  const FileView file(kernel);
  return file.get<uint16_t>(kBootFlag) == 0xaa55 && file.get<uint32_t>(kMagic) == kHdrS;
}

std::string bzimage_release(std::span<const std::byte> kernel) {
  const FileView file(kernel);
  const auto pointer = file.get<uint16_t>(kKernelVersion);
  if (!is_bzimage(kernel) || !pointer || *pointer == 0) return {};
  std::string text;
  for (uint64_t at = uint64_t{*pointer} + 0x200; text.size() < 128; ++at) {
    const auto c = file.get<char>(at);
    if (!c || *c == '\0' || *c == ' ') break;
    text += *c;
  }
  return text;
}

Result<LoadedKernel> load_bzimage(memory::GuestMemory& memory, const KernelRequest& request) {
  const Header header = HUSK_TRY(read_header(request));
  const auto payload = request.kernel.subspan(header.setup_bytes);
  const uint64_t end = header.load_address + std::max<uint64_t>(header.init_size, payload.size());
  const uint64_t low_end = memory.regions().front().size;
  if (header.load_address < kHighMemory || end < header.load_address)
    return fail(ErrorKind::kCorrupt, request.name, "bad load address in the setup header");
  if (end > low_end) return too_little_memory(memory, request.name, end);
  HUSK_TRY(memory.write(Gpa{header.load_address}, payload));
  HUSK_TRY(place_command_line(memory, request.command_line, header.command_line_limit));
  const uint64_t initrd = HUSK_TRY(place_initrd(memory, request, end, header.initrd_limit));
  HUSK_TRY(write_boot_params(memory, request, initrd));
  LoadedKernel loaded;
  loaded.format = KernelFormat::kBzImage;
  loaded.version = bzimage_release(request.kernel);
  loaded.entry = HUSK_TRY(long_mode_entry(memory, header.load_address + kEntry64));
  loaded.entry.gpr[contract::x86::kRsi] = kBootInfoAddress;
  return loaded;
}

}  // namespace husk::boot
