// Handmade kernels for this room's tests: as small as the formats allow, each field open to damage.
#pragma once

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "boot/kernel.h"
#include "boot/layout.h"
#include "boot/setup_header.h"

namespace husk::boot::testing {

using Image = std::vector<std::byte>;

template <class T>
void put(Image& image, uint64_t offset, const T& value) {
  if (image.size() < offset + sizeof(T)) image.resize(offset + sizeof(T));
  std::memcpy(image.data() + offset, &value, sizeof(T));
}

template <class T>
T get(memory::GuestMemory& memory, uint64_t gpa) {
  return memory.load<T>(Gpa{gpa}).value();
}

inline std::string text_at(memory::GuestMemory& memory, uint64_t gpa) {
  std::string text;
  while (const char c = get<char>(memory, gpa++)) text += c;
  return text;
}

inline std::unique_ptr<memory::GuestMemory> guest_memory(uint64_t bytes) {
  return memory::GuestMemory::create(ram_layout(bytes)).value();
}

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kLoadAddress = 16 * kMiB;  // of the images made here

// One segment of `code`, a PVH note when `pvh` is not 0. The entry is its first byte.
template <class Ehdr, class Phdr>
Image elf(uint8_t file_class, uint16_t machine, std::span<const std::byte> code, uint32_t pvh,
          uint64_t memory_size) {
  constexpr uint64_t kNotes = 0x100, kCode = 0x200;
  Image image(kCode + code.size());
  Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = file_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = machine;
  header.e_entry = kLoadAddress;
  header.e_phoff = sizeof(Ehdr);
  header.e_phentsize = sizeof(Phdr);
  header.e_phnum = 2;
  put(image, 0, header);
  Phdr load{};
  load.p_type = PT_LOAD;
  load.p_offset = kCode;
  load.p_paddr = kLoadAddress;
  load.p_vaddr = static_cast<decltype(load.p_vaddr)>(0xffffffff81000000);
  load.p_filesz = code.size();
  load.p_memsz = memory_size;
  put(image, sizeof(Ehdr), load);
  Phdr note{};
  note.p_type = PT_NOTE;
  note.p_offset = kNotes;
  note.p_filesz = pvh == 0 ? 0 : 40;
  put(image, sizeof(Ehdr) + sizeof(Phdr), note);
  // Another vendor's note with odd lengths first, as real files have them.
  put(image, kNotes, Elf64_Nhdr{3, 2, 7});
  put(image, kNotes + 20, Elf64_Nhdr{4, 4, 18});
  std::memcpy(image.data() + kNotes + 32, "Xen", 4);
  put(image, kNotes + 36, pvh);
  std::ranges::copy(code, image.begin() + kCode);
  return image;
}

inline Image elf64(std::span<const std::byte> code, uint32_t pvh = 0,
                   uint64_t memory_size = 0x3000) {
  return elf<Elf64_Ehdr, Elf64_Phdr>(ELFCLASS64, EM_X86_64, code, pvh, memory_size);
}
inline Image elf32(std::span<const std::byte> code, uint32_t pvh = 0,
                   uint64_t memory_size = 0x3000) {
  return elf<Elf32_Ehdr, Elf32_Phdr>(ELFCLASS32, EM_386, code, pvh, memory_size);
}

inline Elf64_Phdr first_segment(const Image& image) {
  Elf64_Phdr header;
  std::memcpy(&header, image.data() + sizeof(Elf64_Ehdr), sizeof(header));
  return header;
}

// A Multiboot header with these flags and a right checksum.
inline void put_multiboot(Image& image, uint64_t offset, uint32_t flags) {
  constexpr uint32_t kMagic = 0x1badb002;
  put(image, offset, kMagic);
  put(image, offset + 4, flags);
  put(image, offset + 8, static_cast<uint32_t>(-(kMagic + flags)));
}

// A bzImage of protocol 2.15 whose protected-mode part is `payload`, 0x400 bytes into it, padded
// to 16.
inline Image bzimage(std::span<const std::byte> payload = {}, uint32_t init_size = 0x200000) {
  constexpr uint64_t kSetup = 1024, kPayload = 0x400;
  const uint64_t system = (kPayload + payload.size() + 15) / 16 * 16;
  Image image(kSetup + system);
  put(image, 0, uint16_t{0x5a4d});
  put(image, setup::kSetupSects, uint8_t{1});
  put(image, setup::kSysSize, static_cast<uint32_t>(system / 16));
  put(image, setup::kBootFlag, setup::kBootFlagValue);
  put(image, setup::kJumpLength, uint8_t{0x6a});
  put(image, setup::kMagic, setup::kMagicValue);
  put(image, setup::kVersion, uint16_t{0x020f});
  put(image, setup::kKernelVersion, uint16_t{0x100});
  put(image, setup::kLoadFlags, setup::kLoadedHigh);
  put(image, setup::kInitrdAddrMax, uint32_t{0x7fffffff});
  put(image, setup::kXloadFlags, uint16_t{3});
  put(image, setup::kCmdlineSize, uint32_t{2047});
  put(image, setup::kPayloadOffset, static_cast<uint32_t>(kPayload));
  put(image, setup::kPayloadLength, static_cast<uint32_t>(payload.size()));
  put(image, setup::kPrefAddress, kLoadAddress);
  put(image, setup::kInitSize, init_size);
  std::memcpy(image.data() + 0x300, "9.8.7-test (someone) #1", 24);
  std::ranges::copy(payload, image.begin() + kSetup + kPayload);
  std::memset(image.data() + kSetup + 0x200, 0x90,
              16);  // something to be found at the 64-bit entry
  return image;
}

inline KernelRequest request(std::span<const std::byte> kernel,
                             std::string command_line = "quiet") {
  KernelRequest made;
  made.name = "kernel";
  made.kernel = kernel;
  made.command_line = std::move(command_line);
  return made;
}

inline Image bytes(size_t count, uint8_t seed = 1) {
  Image made(count);
  for (size_t i = 0; i < count; ++i) made[i] = static_cast<std::byte>(seed + i * 7);
  return made;
}

}  // namespace husk::boot::testing
