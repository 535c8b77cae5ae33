#include "boot/multiboot_info.h"

#include <algorithm>
#include <string_view>

#include "base/try.h"
#include "boot/layout.h"

namespace husk::boot {
namespace {

struct Info {
  uint32_t flags = 0;
  uint32_t mem_lower = 0, mem_upper = 0;  // KiB
  uint32_t boot_device = 0;
  uint32_t command_line = 0;
  uint32_t modules = 0, module_list = 0;
  uint32_t symbols[4] = {};
  uint32_t map_length = 0, map = 0;
  uint32_t drives_length = 0, drives = 0;
  uint32_t config_table = 0;
  uint32_t loader_name = 0;
};
constexpr uint32_t kHasMemory = 1u << 0, kHasCommandLine = 1u << 2, kHasModules = 1u << 3;
constexpr uint32_t kHasMap = 1u << 6, kHasLoaderName = 1u << 9;

struct Module {
  uint32_t start = 0, end = 0, text = 0, reserved = 0;
};

// `size` counts what follows it.
struct [[gnu::packed]] MapEntry {
  uint32_t size = 20;
  uint64_t address = 0, length = 0;
  uint32_t type = 0;
};
static_assert(sizeof(Info) == 68 && sizeof(Module) == 16 && sizeof(MapEntry) == 24);

constexpr uint64_t kModuleList = kBootInfoAddress + 0x80;
constexpr uint64_t kLoaderName = kBootInfoAddress + 0x90;
constexpr uint64_t kModuleText = kBootInfoAddress + 0xa0;
constexpr size_t kMaxModuleText = 0x15f;
constexpr uint64_t kMap = kBootInfoAddress + 0x200;
constexpr size_t kMaxMapEntries = (kPageTables - kMap) / sizeof(MapEntry);

Result<void> write_text(memory::GuestMemory& memory, uint64_t at, std::string_view text) {
  HUSK_TRY(memory.write(Gpa{at}, std::as_bytes(std::span(text))));
  return memory.store(Gpa{at + text.size()}, '\0');
}

Result<void> write_module(memory::GuestMemory& memory, InitrdPlace initrd, std::string_view name,
                          Info& info) {
  info.flags |= kHasModules;
  info.module_list = static_cast<uint32_t>(kModuleList);
  if (initrd.size == 0) return {};
  info.modules = 1;
  HUSK_TRY(write_text(memory, kModuleText, name.substr(0, kMaxModuleText)));
  return memory.store(Gpa{kModuleList}, Module{static_cast<uint32_t>(initrd.address),
                                               static_cast<uint32_t>(initrd.address + initrd.size),
                                               static_cast<uint32_t>(kModuleText), 0});
}

Result<void> write_map(memory::GuestMemory& memory, Info& info) {
  info.flags |= kHasMemory | kHasMap;
  info.mem_lower = static_cast<uint32_t>(kLowMemoryEnd / 1024);
  info.mem_upper = static_cast<uint32_t>((memory.regions().front().size - kHighMemory) / 1024);
  const auto map = e820_map(memory);
  const size_t entries = std::min(map.size(), kMaxMapEntries);
  for (size_t i = 0; i < entries; ++i)
    HUSK_TRY(memory.store(Gpa{kMap + i * sizeof(MapEntry)},
                          MapEntry{20, map[i].address, map[i].size, map[i].type}));
  info.map = static_cast<uint32_t>(kMap);
  info.map_length = static_cast<uint32_t>(entries * sizeof(MapEntry));
  return {};
}

}  // namespace

Result<void> write_multiboot_info(memory::GuestMemory& memory, InitrdPlace initrd,
                                  const std::string& initrd_name) {
  Info info;
  HUSK_TRY(write_map(memory, info));
  HUSK_TRY(write_module(memory, initrd, initrd_name, info));
  HUSK_TRY(write_text(memory, kLoaderName, "husk"));
  info.flags |= kHasCommandLine | kHasLoaderName;
  info.command_line = static_cast<uint32_t>(kCommandLine);
  info.loader_name = static_cast<uint32_t>(kLoaderName);
  return memory.store(Gpa{kBootInfoAddress}, info);
}

}  // namespace husk::boot
