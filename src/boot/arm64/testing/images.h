// Handmade arm64 Images for tests: as small as the format allows, each field open to damage.
#pragma once

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "boot/arm64/kernel.h"
#include "boot/arm64/layout.h"
#include "memory/guest_memory.h"

namespace husk::boot::arm64::testing {

using Bytes = std::vector<std::byte>;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kTextOffset = 8, kImageSize = 16, kFlags = 24, kMagic = 56, kPeOffset = 60;

template <class T>
void put(Bytes& bytes, uint64_t offset, T value) {
  if (bytes.size() < offset + sizeof(T)) bytes.resize(offset + sizeof(T));
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

inline void put_text(Bytes& bytes, uint64_t offset, std::string_view text) {
  if (bytes.size() < offset + text.size()) bytes.resize(offset + text.size());
  std::memcpy(bytes.data() + offset, text.data(), text.size());
}

// 4 KiB of file that take `image_size` bytes of memory, with a banner at 1024.
inline Bytes plain_image(uint64_t image_size = 2 * kMiB, uint64_t text_offset = 0) {
  Bytes image(4096, std::byte{0x5a});
  std::memset(image.data(), 0, 64);
  put<uint32_t>(image, 0, 0x14000010);  // b .+64
  put<uint64_t>(image, kTextOffset, text_offset);
  put<uint64_t>(image, kImageSize, image_size);
  put<uint64_t>(image, kFlags, 0xa);  // 4 KiB pages, anywhere
  put_text(image, kMagic, "ARM\x64");
  put_text(image, 1024, "Linux version 6.1.0-arm64 (builder)");
  return image;
}

// The same as an EFI program with two sections, the second up to the file's last byte.
inline Bytes efi_image() {
  Bytes image = plain_image();
  constexpr uint64_t kPe = 64, kSections = kPe + 24 + 160;
  put<uint32_t>(image, kPeOffset, kPe);
  std::memset(image.data() + kPe, 0, 512);
  put<uint32_t>(image, kPe, 0x4550);
  put<uint16_t>(image, kPe + 6, 2);
  put<uint16_t>(image, kPe + 20, 160);
  put<uint32_t>(image, kSections + 16, 0x400);
  put<uint32_t>(image, kSections + 20, 0x800);
  put<uint32_t>(image, kSections + 40 + 16, 0x400);
  put<uint32_t>(image, kSections + 40 + 20, 0xc00);
  return image;
}

inline Bytes gzipped(std::span<const std::byte> plain) {
  Bytes packed(plain.size() + 1024);
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline Bytes zstd_packed(std::span<const std::byte> plain) {
  Bytes packed(ZSTD_compressBound(plain.size()));
  packed.resize(ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), 1));
  return packed;
}

// In the EFI zboot wrapper; `unpacked_size` is appended where the stream does not say it itself.
inline Bytes zboot(std::span<const std::byte> stream, std::optional<uint32_t> unpacked_size) {
  constexpr uint64_t kPayload = 0x200;
  Bytes file(kPayload + stream.size());
  put_text(file, 0, std::string_view("MZ\0\0zimg", 8));
  put<uint32_t>(file, 8, kPayload);
  put<uint32_t>(file, 12, static_cast<uint32_t>(stream.size()));
  std::ranges::copy(stream, file.begin() + kPayload);
  if (unpacked_size) put(file, file.size(), *unpacked_size);
  return file;
}

inline std::unique_ptr<memory::GuestMemory> guest_memory(uint64_t bytes) {
  return memory::GuestMemory::create(ram_layout(bytes)).value();
}

inline Machine machine(uint32_t vcpus = 1, uint32_t virtio_devices = 0) {
  Machine built;
  for (uint32_t i = 0; i < vcpus; ++i) built.cpus.push_back(1u << 31 | vcpu_affinity(i));
  built.virtio_devices = virtio_devices;
  return built;
}

inline KernelRequest request(std::span<const std::byte> kernel) {
  KernelRequest asked;
  asked.name = "Image";
  asked.kernel = kernel;
  asked.machine = machine();
  return asked;
}

// The error's line, or "no error".
template <class T>
std::string why(const Result<T>& result) {
  return result ? "no error" : result.error().message();
}

}  // namespace husk::boot::arm64::testing
