#include "boot/elf.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/checked.h"
#include "base/try.h"
#include "boot/entry_state.h"
#include "boot/file_view.h"
#include "boot/layout.h"
#include "boot/placement.h"

namespace husk::boot {
namespace {

constexpr uint32_t kXenNotePhys32Entry = 18;
constexpr size_t kMaxProgramHeaders = 128;
constexpr uint64_t kMaxNotes = 1 << 20;

// The part of a program header that loading needs, whatever the file's class.
struct Segment {
  uint32_t type = 0;
  uint64_t offset = 0, address = 0, file_size = 0, memory_size = 0;
};

struct Image {
  uint64_t entry = 0;
  uint16_t machine = 0;
  bool wide = false;
  std::vector<Segment> segments;
};

template <class Header, class ProgramHeader>
std::optional<Image> parse_class(const FileView& file, bool wide) {
  const auto header = file.get<Header>(0);
  if (!header || header->e_phentsize != sizeof(ProgramHeader) || header->e_phnum > kMaxProgramHeaders)
    return std::nullopt;
  Image image{header->e_entry, header->e_machine, wide, {}};
  for (size_t i = 0; i < header->e_phnum; ++i) {
    const auto at = base::checked_add<uint64_t>(header->e_phoff, i * sizeof(ProgramHeader));
    const auto program = at ? file.get<ProgramHeader>(*at) : std::nullopt;
    if (!program) return std::nullopt;
    image.segments.push_back({program->p_type, program->p_offset, program->p_paddr, program->p_filesz, program->p_memsz});
  }
  return image;
}

std::optional<Image> parse(std::span<const std::byte> kernel) {
  const FileView file(kernel);
  const auto file_class = file.get<uint8_t>(EI_CLASS);
  if (file_class == ELFCLASS64) return parse_class<Elf64_Ehdr, Elf64_Phdr>(file, true);
  if (file_class == ELFCLASS32) return parse_class<Elf32_Ehdr, Elf32_Phdr>(file, false);
  return std::nullopt;
}

Result<Image> parse_or_fail(const KernelRequest& request) {
  auto image = parse(request.kernel);
  if (!image) return fail(ErrorKind::kCorrupt, request.name, "damaged ELF headers");
  if (image->machine != EM_X86_64 && image->machine != EM_386)
    return fail(ErrorKind::kUnsupported, request.name, "ELF file for another architecture");
  return *image;
}

// Copies every loadable segment; returns where the highest ends.
Result<uint64_t> load_segments(memory::GuestMemory& memory, const KernelRequest& request, const Image& image) {
  const FileView file(request.kernel);
  uint64_t end = 0;
  for (const Segment& segment : image.segments) {
    if (segment.type != PT_LOAD || segment.memory_size == 0) continue;
    const auto bytes = file.slice(segment.offset, segment.file_size);
    const auto segment_end = base::checked_add(segment.address, segment.memory_size);
    if (!bytes || !segment_end || segment.file_size > segment.memory_size)
      return fail(ErrorKind::kCorrupt, request.name, "truncated kernel image");
    if (memory.find(Gpa{segment.address}, segment.memory_size) == nullptr)
      return too_little_memory(memory, request.name, *segment_end);
    if (segment.address < kHighMemory)
      return fail(ErrorKind::kUnsupported, request.name,
                  fmt::format("segment at {:#x} lies in the first MiB, which boot structures use", segment.address));
    HUSK_TRY(memory.write(Gpa{segment.address}, *bytes));
    end = std::max(end, *segment_end);
  }
  if (end == 0) return fail(ErrorKind::kCorrupt, request.name, "ELF file without a loadable segment");
  return end;
}

// struct hvm_start_info, version 1, and its tables (Xen, public/arch-x86/hvm/start_info.h).
struct StartInfo {
  uint32_t magic = 0x336ec578, version = 1, flags = 0, modules = 0;
  uint64_t module_list = 0, command_line = 0, rsdp = 0, memory_map = 0;
  uint32_t memory_map_entries = 0, reserved = 0;
};
struct StartModule {
  uint64_t address = 0, size = 0, command_line = 0, reserved = 0;
};
struct StartMemory {
  uint64_t address = 0, size = 0;
  uint32_t type = 0, reserved = 0;
};

Result<void> write_start_info(memory::GuestMemory& memory, const KernelRequest& request, uint64_t initrd) {
  constexpr uint64_t kModule = kBootInfoAddress + 0x100, kMap = kBootInfoAddress + 0x200;
  StartInfo info;
  info.command_line = kCommandLine;
  info.rsdp = request.rsdp.value;
  if (initrd != 0) {
    info.modules = 1;
    info.module_list = kModule;
    HUSK_TRY(memory.store(Gpa{kModule}, StartModule{initrd, request.initrd.size(), 0, 0}));
  }
  info.memory_map = kMap;
  for (const E820Entry& entry : e820_map(memory)) {
    HUSK_TRY(memory.store(Gpa{kMap + info.memory_map_entries * sizeof(StartMemory)},
                          StartMemory{entry.address, entry.size, entry.type, 0}));
    ++info.memory_map_entries;
  }
  return memory.store(Gpa{kBootInfoAddress}, info);
}

}  // namespace

bool is_elf(std::span<const std::byte> kernel) { return FileView(kernel).get<uint32_t>(0) == 0x464c457f; }

std::optional<uint32_t> pvh_entry(std::span<const std::byte> kernel) {
  const auto image = parse(kernel);
  if (!image) return std::nullopt;
  for (const Segment& segment : image->segments) {
    if (segment.type != PT_NOTE || segment.file_size > kMaxNotes) continue;
    const auto notes = FileView(kernel).slice(segment.offset, segment.file_size);
    if (!notes) return std::nullopt;
    const FileView view(*notes);
    uint64_t at = 0;
    while (const auto note = view.get<Elf64_Nhdr>(at)) {
      const uint64_t name = at + sizeof(Elf64_Nhdr);
      const uint64_t value = name + base::align_up(note->n_namesz, 4);
      if (note->n_type == kXenNotePhys32Entry && view.get<uint32_t>(name) == 0x006e6558) return view.get<uint32_t>(value);
      at = value + base::align_up(note->n_descsz, 4);
    }
  }
  return std::nullopt;
}

Result<LoadedKernel> load_elf(memory::GuestMemory& memory, const KernelRequest& request) {
  const Image image = HUSK_TRY(parse_or_fail(request));
  const uint64_t end = HUSK_TRY(load_segments(memory, request, image));
  HUSK_TRY(place_command_line(memory, request.command_line, 2047));
  const uint64_t initrd = HUSK_TRY(place_initrd(memory, request, end, kDeviceHole));
  const auto entry = pvh_entry(request.kernel);
  if (!entry) return fail(ErrorKind::kUnsupported, request.name, "ELF kernel without a PVH entry note");
  HUSK_TRY(write_start_info(memory, request, initrd));
  LoadedKernel loaded;
  loaded.format = KernelFormat::kElfPvh;
  loaded.entry = HUSK_TRY(protected_mode_entry(memory, *entry));
  loaded.entry.gpr[contract::x86::kRbx] = kBootInfoAddress;
  return loaded;
}

// --- Multiboot 1 (Multiboot Specification 0.6.96) -----------------------------------------------------------------

namespace {

constexpr uint32_t kMultibootMagic = 0x1badb002, kMultibootLoaderMagic = 0x2badb002;
constexpr uint32_t kFlagAddresses = 1u << 16;
constexpr size_t kMultibootSearch = 8192;

struct MultibootHeader {
  uint64_t offset = 0;
  uint32_t flags = 0;
};

std::optional<MultibootHeader> find_multiboot(std::span<const std::byte> kernel) {
  const FileView file(kernel.first(std::min(kernel.size(), kMultibootSearch)));
  for (uint64_t at = 0; at + 12 <= file.size(); at += 4) {
    if (file.get<uint32_t>(at) != kMultibootMagic) continue;
    const uint32_t flags = *file.get<uint32_t>(at + 4);
    const uint32_t sum = *file.get<uint32_t>(at + 8);
    if (kMultibootMagic + flags + sum == 0) return MultibootHeader{at, flags};
  }
  return std::nullopt;
}

struct MultibootInfo {
  uint32_t flags = 0, mem_lower = 0, mem_upper = 0, boot_device = 0, cmdline = 0, mods_count = 0, mods_addr = 0;
  uint32_t syms[4] = {};
  uint32_t mmap_length = 0, mmap_addr = 0;
  uint32_t drives[2] = {};
  uint32_t config_table = 0, boot_loader_name = 0, apm_table = 0;
};
constexpr uint32_t kInfoMemory = 1, kInfoCommandLine = 4, kInfoModules = 8, kInfoMap = 64, kInfoLoaderName = 512;

#pragma pack(push, 4)
struct MultibootMap {
  uint32_t size = 20;
  uint64_t address = 0, length = 0;
  uint32_t type = 0;
};
#pragma pack(pop)
static_assert(sizeof(MultibootMap) == 24);

Result<void> write_multiboot_info(memory::GuestMemory& memory, const KernelRequest& request, uint64_t initrd) {
  constexpr uint64_t kModule = kBootInfoAddress + 0x100, kName = kBootInfoAddress + 0x180, kMap = kBootInfoAddress + 0x200;
  MultibootInfo info;
  info.flags = kInfoMemory | kInfoCommandLine | kInfoModules | kInfoMap | kInfoLoaderName;
  info.mem_lower = kLowMemoryEnd / 1024;
  info.mem_upper = static_cast<uint32_t>((memory.regions().front().size - kHighMemory) / 1024);
  info.cmdline = kCommandLine;
  info.boot_loader_name = kName;
  HUSK_TRY(memory.write(Gpa{kName}, std::as_bytes(std::span("husk"))));
  info.mods_addr = kModule;
  if (initrd != 0) {
    info.mods_count = 1;
    const std::array<uint32_t, 4> module{static_cast<uint32_t>(initrd),
                                         static_cast<uint32_t>(initrd + request.initrd.size()), kCommandLine, 0};
    HUSK_TRY(memory.store(Gpa{kModule}, module));
  }
  info.mmap_addr = kMap;
  for (const E820Entry& entry : e820_map(memory)) {
    HUSK_TRY(memory.store(Gpa{kMap + info.mmap_length}, MultibootMap{20, entry.address, entry.size, entry.type}));
    info.mmap_length += sizeof(MultibootMap);
  }
  return memory.store(Gpa{kBootInfoAddress}, info);
}

// Images that say in the header itself where they go (the a.out kludge): load, data end, bss end, entry.
Result<uint64_t> load_by_header(memory::GuestMemory& memory, const KernelRequest& request, const MultibootHeader& header,
                                uint64_t& entry) {
  const FileView file(request.kernel);
  const auto fields = file.get<std::array<uint32_t, 5>>(header.offset + 12);
  if (!fields) return fail(ErrorKind::kCorrupt, request.name, "truncated Multiboot header");
  const auto [header_at, load, load_end, bss_end, entry_at] = *fields;
  if (load > header_at || header_at - load > header.offset)
    return fail(ErrorKind::kCorrupt, request.name, "bad addresses in the Multiboot header");
  const uint64_t start = header.offset - (header_at - load);
  const uint64_t size = load_end == 0 ? request.kernel.size() - start : uint64_t{load_end} - load;
  const auto bytes = load_end != 0 && load_end < load ? std::nullopt : file.slice(start, size);
  const uint64_t end = std::max<uint64_t>(load + size, bss_end);
  if (!bytes) return fail(ErrorKind::kCorrupt, request.name, "truncated kernel image");
  if (load < kHighMemory || memory.find(Gpa{load}, end - load) == nullptr)
    return too_little_memory(memory, request.name, end);
  HUSK_TRY(memory.write(Gpa{load}, *bytes));
  entry = entry_at;
  return end;
}

}  // namespace

bool is_multiboot(std::span<const std::byte> kernel) { return find_multiboot(kernel).has_value(); }

Result<LoadedKernel> load_multiboot(memory::GuestMemory& memory, const KernelRequest& request) {
  const MultibootHeader header = *find_multiboot(request.kernel);
  uint64_t entry = 0;
  uint64_t end = 0;
  if ((header.flags & kFlagAddresses) != 0) {
    end = HUSK_TRY(load_by_header(memory, request, header, entry));
  } else {
    const Image image = HUSK_TRY(parse_or_fail(request));
    end = HUSK_TRY(load_segments(memory, request, image));
    entry = image.entry;
  }
  HUSK_TRY(place_command_line(memory, request.command_line, 4095));
  const uint64_t initrd = HUSK_TRY(place_initrd(memory, request, end, kDeviceHole));
  HUSK_TRY(write_multiboot_info(memory, request, initrd));
  LoadedKernel loaded;
  loaded.format = KernelFormat::kMultiboot;
  loaded.entry = HUSK_TRY(protected_mode_entry(memory, static_cast<uint32_t>(entry)));
  loaded.entry.gpr[contract::x86::kRax] = kMultibootLoaderMagic;
  loaded.entry.gpr[contract::x86::kRbx] = kBootInfoAddress;
  return loaded;
}

}  // namespace husk::boot
