#include "boot/elf_image.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>

#include "base/checked.h"
#include "base/try.h"
#include "boot/file_view.h"

namespace husk::boot {
namespace {

constexpr uint32_t kElfMagic = 0x464c457f;
constexpr uint32_t kXenName = 0x006e6558;        // "Xen\0"
constexpr uint32_t kXenElfNotePhys32Entry = 18;  // Xen, public/elfnote.h
constexpr uint64_t kMaxProgramHeaders = 128;
constexpr uint64_t kMaxNoteBytes = 1 << 20;

// A program header, whatever the file's class.
struct ProgramHeader {
  uint32_t type = 0;
  LoadSegment segment;
};

struct Headers {
  uint16_t machine = 0;
  uint64_t entry = 0;
  std::vector<ProgramHeader> programs;
};

std::unexpected<Error> damaged(const std::string& name, std::string what) {
  return fail(ErrorKind::kCorrupt, name, "truncated or damaged ELF file: " + std::move(what));
}

template <class Ehdr, class Phdr>
Result<Headers> read_headers(const std::string& name, const FileView& file) {
  const auto header = file.get<Ehdr>(0);
  if (!header) return damaged(name, "it ends within its header");
  Headers headers{header->e_machine, header->e_entry, {}};
  if (header->e_phnum > kMaxProgramHeaders || header->e_phentsize != sizeof(Phdr))
    return damaged(
        name, fmt::format("{} program headers of {} bytes", header->e_phnum, header->e_phentsize));
  const auto table = file.slice(header->e_phoff, header->e_phnum * sizeof(Phdr));
  if (!table) return damaged(name, "it ends before its program headers");
  for (size_t i = 0; i < header->e_phnum; ++i) {
    const Phdr p = *FileView(*table).get<Phdr>(i * sizeof(Phdr));
    headers.programs.push_back(
        {p.p_type, {p.p_offset, p.p_paddr, p.p_vaddr, p.p_filesz, p.p_memsz}});
  }
  return headers;
}

Result<Headers> read_headers_of_class(const std::string& name, const FileView& file) {
  if (file.get<uint8_t>(EI_DATA) != ELFDATA2LSB) return damaged(name, "not little-endian");
  const auto file_class = file.get<uint8_t>(EI_CLASS);
  if (file_class == ELFCLASS64) return read_headers<Elf64_Ehdr, Elf64_Phdr>(name, file);
  if (file_class == ELFCLASS32) return read_headers<Elf32_Ehdr, Elf32_Phdr>(name, file);
  return damaged(name, "neither 32- nor 64-bit");
}

std::string machine_name(uint16_t machine) {
  switch (machine) {
    case EM_AARCH64:
      return "aarch64";
    case EM_ARM:
      return "arm";
    case EM_RISCV:
      return "riscv";
    case EM_PPC64:
      return "ppc64";
    case EM_S390:
      return "s390";
    default:
      return fmt::format("ELF machine {}", machine);
  }
}

// The entry is a physical address in the kernels that we know; where it is not inside a segment's
// physical range but inside its virtual one, the linker gave the virtual address.
std::optional<uint64_t> physical_entry(const std::vector<LoadSegment>& segments, uint64_t entry) {
  for (const LoadSegment& segment : segments)
    if (entry - segment.physical < segment.memory_size) return entry;
  for (const LoadSegment& segment : segments)
    if (entry - segment.virtual_start < segment.memory_size)
      return entry - segment.virtual_start + segment.physical;
  return std::nullopt;
}

std::optional<uint32_t> find_pvh_note(std::span<const std::byte> notes) {
  const FileView view(notes);
  // Both classes have the same note header; a turn advances by at least its 12 bytes.
  for (uint64_t at = 0; const auto note = view.get<Elf64_Nhdr>(at);) {
    const uint64_t name = at + sizeof(Elf64_Nhdr);
    const uint64_t value = name + base::align_up(note->n_namesz, 4);
    if (note->n_type == kXenElfNotePhys32Entry && note->n_namesz == 4 && note->n_descsz >= 4 &&
        view.get<uint32_t>(name) == kXenName)
      return view.get<uint32_t>(value);
    at = value + base::align_up(note->n_descsz, 4);
  }
  return std::nullopt;
}

Result<void> take_header(const std::string& name, const FileView& file, const ProgramHeader& header,
                         ElfImage& image) {
  const LoadSegment& segment = header.segment;
  if (header.type == PT_NOTE && segment.file_size <= kMaxNoteBytes && !image.pvh_entry) {
    const auto notes = file.slice(segment.offset, segment.file_size);
    if (!notes) return damaged(name, "it ends before its notes");
    image.pvh_entry = find_pvh_note(*notes);
  }
  if (header.type != PT_LOAD || segment.memory_size == 0) return {};
  if (segment.file_size > segment.memory_size)
    return damaged(name,
                   fmt::format("the segment at {:#x} is larger than its place", segment.physical));
  if (!file.slice(segment.offset, segment.file_size))
    return damaged(name, fmt::format("it ends before the segment at {:#x}", segment.physical));
  image.segments.push_back(segment);
  return {};
}

}  // namespace

bool is_elf(std::span<const std::byte> file) {
  return FileView(file).get<uint32_t>(0) == kElfMagic;
}

Result<ElfImage> parse_elf(const std::string& name, std::span<const std::byte> bytes) {
  const FileView file(bytes);
  const Headers headers = HUSK_TRY(read_headers_of_class(name, file));
  if (headers.machine != EM_X86_64 && headers.machine != EM_386)
    return fail(ErrorKind::kUnsupported, name,
                fmt::format("is for {}, this machine is x86-64", machine_name(headers.machine)));
  ElfImage image;
  image.wide = file.get<uint8_t>(EI_CLASS) == ELFCLASS64;
  image.x86_64 = headers.machine == EM_X86_64;
  for (const ProgramHeader& header : headers.programs)
    HUSK_TRY(take_header(name, file, header, image));
  if (image.segments.empty()) return damaged(name, "nothing in it is to be loaded");
  const auto entry = physical_entry(image.segments, headers.entry);
  if (!entry) return damaged(name, fmt::format("its entry {:#x} is in no segment", headers.entry));
  image.entry = *entry;
  return image;
}

Result<void> claim_segments(Placement& placement, const ElfImage& image) {
  for (const LoadSegment& segment : image.segments)
    HUSK_TRY(placement.claim(fmt::format("the segment at file offset {:#x}", segment.offset),
                             segment.physical, segment.memory_size));
  return {};
}

Result<void> copy_segments(memory::GuestMemory& memory, std::span<const std::byte> file,
                           const ElfImage& image) {
  for (const LoadSegment& segment : image.segments) {
    const auto place = HUSK_TRY(memory.host_span(Gpa{segment.physical}, segment.memory_size));
    const auto bytes = file.subspan(segment.offset, segment.file_size);
    std::ranges::copy(bytes, place.begin());
    std::ranges::fill(place.subspan(segment.file_size), std::byte{0});
    memory.mark_dirty(Gpa{segment.physical}, segment.memory_size);
  }
  return {};
}

}  // namespace husk::boot
