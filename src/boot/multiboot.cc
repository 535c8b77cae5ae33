#include "boot/multiboot.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "base/try.h"
#include "boot/elf_image.h"
#include "boot/entry_state.h"
#include "boot/file_view.h"
#include "boot/layout.h"
#include "boot/multiboot_info.h"

namespace husk::boot {
namespace {

using contract::x86::VcpuState;

constexpr uint32_t kHeaderMagic = 0x1badb002, kLoaderMagic = 0x2badb002;
constexpr uint64_t kSearchLimit = 8192, kHeaderSize = 12;
constexpr uint32_t kPageAlign = 1u << 0, kMemoryInfo = 1u << 1, kAddresses = 1u << 16;
constexpr uint32_t kRequired = 0xffff;  // a loader that does not know one of these bits must refuse
constexpr uint64_t kModuleLimit = uint64_t{1} << 32;

// The address fields (3.1.3): header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr.
Result<ElfImage> image_by_addresses(const std::string& name, std::span<const std::byte> bytes,
                                    const MultibootHeader& header) {
  const FileView file(bytes);
  const auto fields = file.get<std::array<uint32_t, 5>>(header.offset + kHeaderSize);
  const auto damaged = [&](const char* what) {
    return fail(ErrorKind::kCorrupt, name,
                fmt::format("truncated or damaged Multiboot kernel: {}", what));
  };
  if (!fields) return damaged("it ends within its header");
  const auto [header_at, load, load_end, bss_end, entry] = *fields;
  if (load > header_at || header_at - load > header.offset)
    return damaged("its load address is wrong");
  const uint64_t start = header.offset - (header_at - load);
  if (load_end != 0 && load_end < load) return damaged("its data end before they begin");
  // 0 stands for "to the end of the file", and for "no bss".
  const uint64_t size = load_end == 0 ? file.size() - start : load_end - load;
  if (size == 0 || !file.slice(start, size)) return damaged("it ends before its data do");
  const uint64_t bss = bss_end > load ? bss_end - load : 0;
  ElfImage image;
  image.segments.push_back({start, load, load, size, std::max(size, bss)});
  if (entry - uint64_t{load} >= image.segments[0].memory_size)
    return damaged("its entry lies outside");
  image.entry = entry;
  return image;
}

// Programs find their own name in front of their arguments.
std::string full_command_line(const KernelRequest& request) {
  return request.command_line.empty() ? request.name : request.name + " " + request.command_line;
}

Result<ElfImage> describe(const KernelRequest& request, const MultibootHeader& header) {
  if (const uint32_t unknown = header.flags & kRequired & ~(kPageAlign | kMemoryInfo))
    return fail(
        ErrorKind::kUnsupported, request.name,
        fmt::format("the Multiboot header requires features that this machine lacks: {:#x}{}",
                    unknown, (unknown & 4) != 0 ? " (a video mode)" : ""));
  if ((header.flags & kAddresses) != 0)
    return image_by_addresses(request.name, request.kernel, header);
  if (!is_elf(request.kernel))
    return fail(ErrorKind::kCorrupt, request.name,
                "a Multiboot kernel that is not ELF and has no load address");
  return parse_elf(request.name, request.kernel);
}

}  // namespace

std::optional<MultibootHeader> find_multiboot(std::span<const std::byte> bytes) {
  const FileView file(bytes.first(std::min<uint64_t>(bytes.size(), kSearchLimit)));
  for (uint64_t at = 0; at + kHeaderSize <= file.size(); at += 4) {
    if (file.get<uint32_t>(at) != kHeaderMagic) continue;
    const uint32_t flags = *file.get<uint32_t>(at + 4);
    if (kHeaderMagic + flags + *file.get<uint32_t>(at + 8) == 0) return MultibootHeader{at, flags};
  }
  return std::nullopt;
}

Result<VcpuState> load_multiboot(Loading& loading, const MultibootHeader& header) {
  const KernelRequest& request = loading.request;
  const ElfImage image = HUSK_TRY(describe(request, header));
  HUSK_TRY(claim_segments(loading.placement, image));
  const std::string command_line = full_command_line(request);
  HUSK_TRY(loading.check_command_line(command_line, ~uint64_t{0}));
  const InitrdPlace initrd = HUSK_TRY(loading.claim_initrd(kModuleLimit, false));
  HUSK_TRY(copy_segments(loading.memory, request.kernel, image));
  HUSK_TRY(loading.write_initrd(initrd));
  HUSK_TRY(loading.write_command_line(command_line));
  HUSK_TRY(write_multiboot_info(loading.memory, initrd, request.initrd_name));
  VcpuState state =
      HUSK_TRY(protected_mode_entry(loading.memory, static_cast<uint32_t>(image.entry)));
  state.gpr[contract::x86::kRax] = kLoaderMagic;
  state.gpr[contract::x86::kRbx] = kBootInfoAddress;
  return state;
}

}  // namespace husk::boot
