// A directory's content in EROFS (erofs.rst, "Directories").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "oci/inode.h"

namespace husk::oci::erofs {

struct DirectoryEntry {
  std::string_view name;
  uint64_t nid = 0;
  FileType type = FileType::kRegular;
};

// "." and ".." and the children, sorted by byte: all three kinds in one order, as the kernel's
// binary search expects. Names of one inode's children, ".": numbers and types are the caller's to
// fill in.
[[nodiscard]] std::vector<DirectoryEntry> sorted_entries(const Inode& directory);

// Bytes of the encoded directory. All blocks but the last are full blocks.
[[nodiscard]] uint64_t directory_size(const std::vector<DirectoryEntry>& entries);

// The encoded directory, directory_size() bytes.
[[nodiscard]] std::string encode_directory(const std::vector<DirectoryEntry>& entries);

}  // namespace husk::oci::erofs
