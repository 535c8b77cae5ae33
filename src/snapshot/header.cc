#include "snapshot/header.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/checked.h"
#include "base/fd.h"
#include "base/try.h"

namespace husk::snapshot {
namespace {

constexpr size_t kVersionAt = 8;
constexpr size_t kHeaderSizeAt = 12;
constexpr size_t kFileSizeAt = 16;
constexpr size_t kManifestOffsetAt = 24;
constexpr size_t kManifestSizeAt = 32;
constexpr size_t kIdAt = 40;
constexpr size_t kDigestAt = 72;
constexpr size_t kEnd = 104;

bool has_magic(std::span<const std::byte> page) {
  return std::memcmp(page.data(), kMagic.data(), kMagic.size()) == 0;
}

template <class T>
void store(HeaderPage& page, size_t offset, const T& value) {
  std::memcpy(page.data() + offset, &value, sizeof value);
}

Result<bool> is_whole(const HeaderPage& page) {
  const Sha256 digest = sha256(std::span(page).first(kDigestAt));
  return get<Sha256>(page, kDigestAt) == digest &&
         std::ranges::all_of(std::span(page).subspan(kEnd),
                             [](std::byte byte) { return byte == std::byte{0}; });
}

Result<void> check_manifest_place(const Header& header, const std::string& subject) {
  if (header.manifest_size > kMaxManifest)
    return fail(ErrorKind::kLimit, subject, "its manifest is too large");
  if (header.manifest_offset < kMemoryStart || header.manifest_size == 0 ||
      !base::in_bounds(header.manifest_offset, header.manifest_size, header.file_size) ||
      header.manifest_offset + header.manifest_size != header.file_size)
    return fail(ErrorKind::kCorrupt, subject,
                "its header names a manifest that it has no room for");
  return {};
}

}  // namespace

Result<HeaderPage> encode(const Header& header) {
  HeaderPage page{};
  std::memcpy(page.data(), kMagic.data(), kMagic.size());
  store(page, kVersionAt, kFormatVersion);
  store(page, kHeaderSizeAt, static_cast<uint32_t>(kHeaderSize));
  store(page, kFileSizeAt, header.file_size);
  store(page, kManifestOffsetAt, header.manifest_offset);
  store(page, kManifestSizeAt, header.manifest_size);
  store(page, kIdAt, header.id);
  store(page, kDigestAt, sha256(std::span(page).first(kDigestAt)));
  return page;
}

Result<Header> decode_header(const HeaderPage& page, uint64_t file_size,
                             const std::string& subject) {
  if (!has_magic(page)) return fail(ErrorKind::kCorrupt, subject, "is not a snapshot");
  const auto version = get<uint32_t>(page, kVersionAt);
  if (version != kFormatVersion)
    return fail(
        ErrorKind::kUnsupported, subject,
        fmt::format("has version {} of the format; this build reads {}", version, kFormatVersion));
  if (!HUSK_TRY(is_whole(page)) || get<uint32_t>(page, kHeaderSizeAt) != kHeaderSize)
    return fail(ErrorKind::kCorrupt, subject, "its header is damaged");
  const Header header{get<uint64_t>(page, kFileSizeAt), get<uint64_t>(page, kManifestOffsetAt),
                      get<uint64_t>(page, kManifestSizeAt), get<Sha256>(page, kIdAt)};
  if (header.file_size != file_size)
    return fail(
        ErrorKind::kCorrupt, subject,
        fmt::format("is {} bytes long and was written with {}", file_size, header.file_size));
  HUSK_TRY(check_manifest_place(header, subject));
  return header;
}

Result<Header> read_header(int fd, const std::string& subject) {
  struct stat st{};
  if (::fstat(fd, &st) != 0) return fail_errno(subject, "cannot stat the snapshot");
  if (!S_ISREG(st.st_mode)) return fail(ErrorKind::kInvalidArgument, subject, "is not a file");
  const auto size = static_cast<uint64_t>(st.st_size);
  HeaderPage page{};
  HUSK_TRY(base::read_exact(fd, std::span(page).first(std::min(size, kHeaderSize)), 0, subject));
  return decode_header(page, size, subject);
}

}  // namespace husk::snapshot
