#include "oci/tar_entry.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/try.h"
#include "oci/entry_path.h"
#include "oci/limits.h"

namespace husk::oci {
namespace {

constexpr uint32_t kMaxMajor = 0xfff;  // Linux's dev_t: 12 and 20 bits
constexpr uint32_t kMaxMinor = 0xfffff;
constexpr int64_t kMaxId = std::numeric_limits<uint32_t>::max() - 1;  // the last is "no user"

std::string_view text_of(const char* text) { return text == nullptr ? std::string_view() : text; }

std::optional<FileType> file_type(archive_entry* entry) {
  switch (::archive_entry_filetype(entry)) {
    case AE_IFREG:
      return FileType::kRegular;
    case AE_IFDIR:
      return FileType::kDirectory;
    case AE_IFLNK:
      return FileType::kSymlink;
    case AE_IFCHR:
      return FileType::kCharDevice;
    case AE_IFBLK:
      return FileType::kBlockDevice;
    case AE_IFIFO:
      return FileType::kFifo;
    default:
      return std::nullopt;
  }
}

Result<std::vector<Xattr>> read_xattrs(archive_entry* entry, const std::string& name) {
  std::vector<Xattr> xattrs;
  const char* key = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  ::archive_entry_xattr_reset(entry);
  while (::archive_entry_xattr_next(entry, &key, &value, &size) == ARCHIVE_OK) {
    if (!is_kept_xattr(text_of(key))) continue;
    xattrs.push_back({key, std::string(static_cast<const char*>(value), size)});
  }
  std::sort(xattrs.begin(), xattrs.end());
  const auto twice =
      std::adjacent_find(xattrs.begin(), xattrs.end(),
                         [](const Xattr& a, const Xattr& b) { return a.name == b.name; });
  if (twice != xattrs.end())
    return fail(ErrorKind::kCorrupt, name, "an extended attribute appears twice");
  if (const char* problem = xattr_problem(xattrs)) return fail(ErrorKind::kLimit, name, problem);
  return xattrs;
}

Result<Attributes> read_attributes(archive_entry* entry, const std::string& name) {
  const int64_t uid = ::archive_entry_uid(entry);
  const int64_t gid = ::archive_entry_gid(entry);
  if (uid < 0 || uid > kMaxId || gid < 0 || gid > kMaxId)
    return fail(ErrorKind::kCorrupt, name, "an owner that is not a 32-bit id");
  Attributes attributes;
  attributes.permissions = static_cast<uint16_t>(::archive_entry_perm(entry) & 07777);
  attributes.uid = static_cast<uint32_t>(uid);
  attributes.gid = static_cast<uint32_t>(gid);
  const long nanoseconds = ::archive_entry_mtime_nsec(entry);
  attributes.mtime = {::archive_entry_mtime(entry),
                      static_cast<uint32_t>(std::clamp(nanoseconds, 0L, 999'999'999L))};
  attributes.xattrs = HUSK_TRY(read_xattrs(entry, name));
  return attributes;
}

// A character device 0:0 means "deleted" to overlayfs, which is no tar layer's way to say so.
Result<void> read_device(archive_entry* entry, const std::string& name, Inode& inode) {
  const uint64_t major = ::archive_entry_rdevmajor(entry);
  const uint64_t minor = ::archive_entry_rdevminor(entry);
  if (major > kMaxMajor || minor > kMaxMinor)
    return fail(ErrorKind::kCorrupt, name, "a device number that Linux does not have");
  if (inode.type == FileType::kCharDevice && major == 0 && minor == 0)
    return fail(ErrorKind::kCorrupt, name,
                "a character device 0:0, overlayfs's mark for a deleted file");
  inode.device_major = static_cast<uint32_t>(major);
  inode.device_minor = static_cast<uint32_t>(minor);
  return {};
}

Result<std::string> read_symlink(archive_entry* entry, const std::string& name) {
  std::string target(text_of(::archive_entry_symlink(entry)));
  if (target.empty()) return fail(ErrorKind::kCorrupt, name, "a symbolic link to nothing");
  if (target.size() > kMaxSymlinkTarget)
    return fail(ErrorKind::kLimit, name, "a symbolic link's target is longer than 4095 bytes");
  return target;
}

Result<uint64_t> read_size(archive_entry* entry, const std::string& name) {
  const int64_t size = ::archive_entry_size(entry);
  if (size < 0) return fail(ErrorKind::kCorrupt, name, "a negative size");
  return static_cast<uint64_t>(size);
}

Result<Inode> read_inode(archive_entry* entry, FileType type, const std::string& name) {
  Inode inode;
  inode.type = type;
  inode.attributes = HUSK_TRY(read_attributes(entry, name));
  if (type == FileType::kSymlink) inode.target = HUSK_TRY(read_symlink(entry, name));
  if (type == FileType::kCharDevice || type == FileType::kBlockDevice)
    HUSK_TRY(read_device(entry, name, inode));
  return inode;
}

}  // namespace

Result<TarEntry> read_tar_entry(archive_entry* entry) {
  const std::string_view raw = text_of(::archive_entry_pathname(entry));
  const std::string name = printable(raw);
  TarEntry parsed;
  auto path = clean_entry_path(raw);
  if (!path) return fail(path.error().kind, name, path.error().why);
  parsed.path = std::move(*path);

  if (const char* target = ::archive_entry_hardlink(entry)) {
    auto link = clean_entry_path(target);
    if (!link)
      return fail(link.error().kind, name,
                  "a hard link to '" + printable(target) + "': " + link.error().why);
    parsed.is_hard_link = true;
    parsed.link_target = std::move(*link);
    return parsed;
  }
  const auto type = file_type(entry);
  if (!type) return fail(ErrorKind::kUnsupported, name, "a kind of file that Linux does not have");
  parsed.inode = HUSK_TRY(read_inode(entry, *type, name));
  if (*type == FileType::kRegular) parsed.size = HUSK_TRY(read_size(entry, name));
  return parsed;
}

uint64_t metadata_bytes(const TarEntry& entry) {
  uint64_t bytes = entry.path.size() + entry.link_target.size() + entry.inode.target.size();
  for (const Xattr& xattr : entry.inode.attributes.xattrs)
    bytes += xattr.name.size() + xattr.value.size();
  return bytes;
}

}  // namespace husk::oci
