#include "boot/decompress.h"

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "boot/file_view.h"

namespace husk::boot {
namespace {

constexpr uint32_t kLz4LegacyMagic = 0x184c2102;  // LZ4 frame format description, "Legacy frame"
constexpr size_t kLz4BlockSize = 8 << 20;         // what every block but the last gives
constexpr size_t kSizeTrailer = 4;
constexpr uint64_t kXzMemoryLimit = uint64_t{256} << 20;

bool starts_with(std::span<const std::byte> bytes, std::initializer_list<uint8_t> magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(),
                    [](uint8_t a, std::byte b) { return std::byte{a} == b; });
}

// The legacy frame: the magic number, then blocks with their compressed size before them, to the
// end.
bool decompress_lz4(std::span<const std::byte> packed, std::span<std::byte> out) {
  if (packed.size() < kSizeTrailer) return false;
  const FileView view(packed.first(packed.size() - kSizeTrailer));
  uint64_t at = sizeof(kLz4LegacyMagic);
  while (at < view.size()) {
    const auto size = view.get<uint32_t>(at);
    // The frame may start again, as `cat` of two of them.
    if (size == kLz4LegacyMagic) {
      at += sizeof(uint32_t);
      continue;
    }
    const auto block = size ? view.slice(at + sizeof(uint32_t), *size) : std::nullopt;
    if (!block || block->size() > std::numeric_limits<int>::max()) return false;
    const int room = static_cast<int>(std::min(out.size(), kLz4BlockSize));
    const int n = LZ4_decompress_safe(reinterpret_cast<const char*>(block->data()),
                                      reinterpret_cast<char*>(out.data()),
                                      static_cast<int>(block->size()), room);
    if (n <= 0) return false;
    out = out.subspan(static_cast<size_t>(n));
    at += sizeof(uint32_t) + *size;
  }
  return out.empty();
}

bool decompress_gzip(std::span<const std::byte> packed, std::span<std::byte> out) {
  constexpr auto kMax = std::numeric_limits<uInt>::max();
  constexpr int kGzipWrapper = 16;
  if (packed.size() > kMax || out.size() > kMax) return false;
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (inflateInit2(&stream, MAX_WBITS + kGzipWrapper) != Z_OK) return false;
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  return result == Z_STREAM_END && stream.avail_out == 0;
}

bool decompress_zstd(std::span<const std::byte> packed, std::span<std::byte> out) {
  const size_t frame = ZSTD_findFrameCompressedSize(packed.data(), packed.size());
  if (ZSTD_isError(frame)) return false;
  return ZSTD_decompress(out.data(), out.size(), packed.data(), frame) == out.size();
}

bool decompress_xz(std::span<const std::byte> packed, std::span<std::byte> out) {
  uint64_t memory_limit = kXzMemoryLimit;
  size_t in_at = 0, out_at = 0;
  const lzma_ret result = lzma_stream_buffer_decode(
      &memory_limit, 0, nullptr, reinterpret_cast<const uint8_t*>(packed.data()), &in_at,
      packed.size(), reinterpret_cast<uint8_t*>(out.data()), &out_at, out.size());
  return result == LZMA_OK && out_at == out.size();
}

}  // namespace

const char* compression_name(Compression compression) {
  constexpr std::array kNames{"unknown", "gzip", "lz4", "xz", "zstd"};
  return kNames[static_cast<size_t>(compression)];
}

Compression detect_compression(std::span<const std::byte> packed) {
  if (starts_with(packed, {0x1f, 0x8b})) return Compression::kGzip;
  if (starts_with(packed, {0x02, 0x21, 0x4c, 0x18})) return Compression::kLz4;
  if (starts_with(packed, {0xfd, '7', 'z', 'X', 'Z', 0})) return Compression::kXz;
  if (starts_with(packed, {0x28, 0xb5, 0x2f, 0xfd})) return Compression::kZstd;
  return Compression::kUnknown;
}

bool decompress(Compression compression, std::span<const std::byte> packed,
                std::span<std::byte> out) {
  switch (compression) {
    case Compression::kGzip:
      return decompress_gzip(packed, out);
    case Compression::kLz4:
      return decompress_lz4(packed, out);
    case Compression::kXz:
      return decompress_xz(packed, out);
    case Compression::kZstd:
      return decompress_zstd(packed, out);
    case Compression::kUnknown:
      break;
  }
  return false;
}

}  // namespace husk::boot
