// One file of an image as it is held in memory while layers are merged. Data only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "oci/spool.h"
#include "oci/xattr.h"

namespace husk::oci {

// The values are those of a directory entry in EROFS (and of Linux's FT_*).
enum class FileType : uint8_t {
  kRegular = 1,
  kDirectory = 2,
  kCharDevice = 3,
  kBlockDevice = 4,
  kFifo = 5,
  kSymlink = 7,
};

using InodeId = uint32_t;

struct Timestamp {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;

  auto operator<=>(const Timestamp&) const = default;
};

struct Attributes {
  uint16_t permissions = 0755;  // with set-id and sticky bits: 07777
  uint32_t uid = 0;
  uint32_t gid = 0;
  Timestamp mtime;
  std::vector<Xattr> xattrs;  // sorted by name, no name twice
};

struct Inode {
  FileType type = FileType::kDirectory;
  Attributes attributes;
  Content content;                                       // kRegular
  std::string target;                                    // kSymlink
  uint32_t device_major = 0;                             // kCharDevice, kBlockDevice: 12 bits
  uint32_t device_minor = 0;                             // 20 bits
  std::map<std::string, InodeId, std::less<>> children;  // kDirectory, sorted by byte
};

}  // namespace husk::oci
