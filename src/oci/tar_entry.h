// One entry of a layer's tar, checked and turned into our own terms.
#pragma once

#include <cstdint>
#include <string>

#include "husk/error.h"

#include "oci/inode.h"

struct archive_entry;

namespace husk::oci {

struct TarEntry {
  std::string path;  // as clean_entry_path() makes it
  bool is_hard_link = false;
  std::string link_target;  // of a hard link, likewise
  Inode inode;              // otherwise; its content is not yet set
  uint64_t size = 0;        // bytes of a regular file
};

// Refuses what an image cannot mean or EROFS cannot hold; the error's subject is the entry's name.
// Extended attributes that is_kept_xattr() declines are dropped, as are POSIX.1e ACLs given as text
// (SCHILY.acl.*), which no image builder writes.
[[nodiscard]] Result<TarEntry> read_tar_entry(archive_entry* entry);

// What the entry holds in memory beyond its fixed size: the names, link targets and attributes.
[[nodiscard]] uint64_t metadata_bytes(const TarEntry& entry);

}  // namespace husk::oci
