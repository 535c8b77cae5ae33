#include "boot/arm64/packed_image.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>

#include "base/try.h"
#include "boot/file_view.h"
#include "boot/placement.h"

namespace husk::boot::arm64 {
namespace {

enum ZbootField : uint64_t { kZbootMagic = 4, kPayloadOffset = 8, kPayloadSize = 12 };
constexpr uint32_t kZbootMagicValue = 0x676d697a;  // "zimg"

constexpr uint64_t kSizeTrailer = sizeof(uint32_t);
constexpr uint64_t kMaxUnpacked = uint64_t{1} << 30;  // no kernel is larger

// gzip's own trailer ends with the unpacked size (RFC 1952, 2.3.1) and is part of the payload; to
// the other streams Linux appends the same number (Makefile.zboot) but leaves it out of the size.
Result<PackedImage> find_zboot_payload(const std::string& name, std::span<const std::byte> file) {
  const FileView view(file);
  const auto offset = view.get<uint32_t>(kPayloadOffset), size = view.get<uint32_t>(kPayloadSize);
  const auto payload = offset && size ? view.slice(*offset, *size) : std::nullopt;
  if (!payload) return fail(ErrorKind::kCorrupt, name, "ends before its zboot payload does");
  const Compression compression = detect_compression(*payload);
  if (compression == Compression::kUnknown)
    return fail(ErrorKind::kUnsupported, name, "the kernel inside is packed in an unknown way");
  const uint64_t trailer = compression == Compression::kGzip ? 0 : kSizeTrailer;
  const auto stream = view.slice(*offset, *size + trailer);
  if (!stream) return fail(ErrorKind::kCorrupt, name, "ends before its zboot payload does");
  return PackedImage{Wrapper::kZboot, compression, *stream};
}

uint64_t unpacked_size(std::span<const std::byte> stream) {
  if (stream.size() < kSizeTrailer) return 0;
  return FileView(stream).get<uint32_t>(stream.size() - kSizeTrailer).value_or(0);
}

}  // namespace

Wrapper detect_wrapper(std::span<const std::byte> file) {
  if (FileView(file).get<uint32_t>(kZbootMagic) == kZbootMagicValue) return Wrapper::kZboot;
  return detect_compression(file) == Compression::kGzip ? Wrapper::kGzip : Wrapper::kNone;
}

Result<PackedImage> find_packed(const std::string& name, std::span<const std::byte> file) {
  if (detect_wrapper(file) == Wrapper::kZboot) return find_zboot_payload(name, file);
  return PackedImage{Wrapper::kGzip, Compression::kGzip, file};
}

Result<base::Mapping> unpack(const std::string& name, const PackedImage& packed, uint64_t limit) {
  const uint64_t size = unpacked_size(packed.stream), room = std::min(limit, kMaxUnpacked);
  if (size > room)
    return fail(ErrorKind::kLimit, name,
                fmt::format("the kernel inside unpacks to {}, there is room for {}",
                            readable_size(size), readable_size(room)));
  const auto damaged = [&] {
    return fail(
        ErrorKind::kCorrupt, name,
        fmt::format("the kernel inside ({}) is damaged", compression_name(packed.compression)));
  };
  if (size == 0) return damaged();
  base::Mapping out = HUSK_TRY(base::Mapping::map(
      size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, name));
  if (!decompress(packed.compression, packed.stream, out.bytes())) return damaged();
  return out;
}

}  // namespace husk::boot::arm64
