// PVH: hvm_start_info, version 1, and a 32-bit entry (Xen, docs/misc/pvh.pandoc and
// public/arch-x86/hvm/start_info.h).
#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "base/try.h"
#include "boot/entry_state.h"
#include "boot/layout.h"
#include "boot/linux.h"

namespace husk::boot {
namespace {

using contract::x86::VcpuState;

struct StartInfo {
  uint32_t magic = 0x336ec578;  // "xEn3" with the top bit of the E set
  uint32_t version = 1;
  uint32_t flags = 0;
  uint32_t modules = 0;
  uint64_t module_list = 0;
  uint64_t command_line = 0;
  uint64_t rsdp = 0;
  uint64_t memory_map = 0;
  uint32_t memory_map_entries = 0;
  uint32_t reserved = 0;
};
struct Module {
  uint64_t address = 0, size = 0, command_line = 0, reserved = 0;
};
struct MapEntry {
  uint64_t address = 0, size = 0;
  uint32_t type = 0, reserved = 0;
};
static_assert(sizeof(StartInfo) == 56 && sizeof(Module) == 32 && sizeof(MapEntry) == 24);

constexpr uint64_t kModuleList = kBootInfoAddress + 0x100;
constexpr uint64_t kMemoryMap = kBootInfoAddress + 0x200;
constexpr size_t kMaxMapEntries = (kPageTables - kMemoryMap) / sizeof(MapEntry);

Result<void> write_start_info(Loading& loading, InitrdPlace initrd) {
  StartInfo info;
  info.command_line = kCommandLine;
  info.rsdp = loading.request.rsdp.value;
  if (initrd.size != 0) {
    info.modules = 1;
    info.module_list = kModuleList;
    HUSK_TRY(loading.memory.store(Gpa{kModuleList}, Module{initrd.address, initrd.size, 0, 0}));
  }
  info.memory_map = kMemoryMap;
  const auto map = e820_map(loading.memory);
  info.memory_map_entries = static_cast<uint32_t>(std::min(map.size(), kMaxMapEntries));
  for (uint32_t i = 0; i < info.memory_map_entries; ++i)
    HUSK_TRY(loading.memory.store(Gpa{kMemoryMap + i * sizeof(MapEntry)},
                                  MapEntry{map[i].address, map[i].size, map[i].type, 0}));
  return loading.memory.store(Gpa{kBootInfoAddress}, info);
}

}  // namespace

Result<VcpuState> load_pvh(Loading& loading, std::span<const std::byte> file, const ElfImage& image,
                           const LinuxLimits& limits) {
  const uint32_t entry = *image.pvh_entry;
  const auto holds_entry = [&](const LoadSegment& segment) {
    return entry - segment.physical < segment.memory_size;
  };
  if (std::ranges::none_of(image.segments, holds_entry))
    return fail(ErrorKind::kCorrupt, loading.request.name,
                fmt::format("its PVH entry {:#x} is in no segment", entry));
  HUSK_TRY(claim_segments(loading.placement, image));
  const InitrdPlace initrd = HUSK_TRY(loading.claim_initrd(limits.initrd, false));
  HUSK_TRY(loading.check_command_line(loading.request.command_line, limits.command_line));
  HUSK_TRY(copy_segments(loading.memory, file, image));
  HUSK_TRY(loading.write_initrd(initrd));
  HUSK_TRY(loading.write_command_line(loading.request.command_line));
  HUSK_TRY(write_start_info(loading, initrd));
  VcpuState state = HUSK_TRY(protected_mode_entry(loading.memory, entry));
  state.gpr[contract::x86::kRbx] = kBootInfoAddress;
  return state;
}

}  // namespace husk::boot
