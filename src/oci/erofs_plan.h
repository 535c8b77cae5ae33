// Where everything of a tree goes in an EROFS image, decided before a byte is written.
#pragma once

#include <cstdint>
#include <vector>

#include "oci/erofs_format.h"
#include "oci/tree.h"

namespace husk::oci::erofs {

struct PlannedInode {
  InodeId id = 0;       // in the tree
  uint32_t parent = 0;  // of a directory: index of its parent in Plan::inodes; the root is its own
  uint32_t nlink = 0;
  bool extended = false;
  Layout layout = Layout::kFlatPlain;
  uint32_t xattr_size = 0;
  uint64_t size = 0;    // i_size
  uint64_t offset = 0;  // of the inode's record in the image, bytes
  uint32_t block = 0;   // first data block, if blocks_of() is not 0

  [[nodiscard]] uint64_t nid() const { return offset / kSlotSize; }
  [[nodiscard]] uint32_t core_size() const {
    return extended ? sizeof(ExtendedInode) : sizeof(CompactInode);
  }
  [[nodiscard]] uint64_t tail() const {  // bytes after the inode, in its record
    return layout == Layout::kFlatInline ? size % kBlockSize : 0;
  }
  [[nodiscard]] uint64_t blocks() const {  // whole data blocks
    return (size - tail() + kBlockSize - 1) / kBlockSize;
  }
};

// The image is: superblock and metadata records, then data blocks, in the order of `inodes`.
struct Plan {
  std::vector<PlannedInode>
      inodes;  // breadth first, names in order: a directory's files are neighbours
  std::vector<uint32_t> index_of;  // by InodeId; meaningful for inodes that have a name
  Timestamp build_time;            // the most frequent time: such inodes can be compact
  uint32_t total_blocks = 0;
};

// kLimit where the image would not fit EROFS's 32-bit block numbers.
[[nodiscard]] Result<Plan> make_plan(const Tree& tree);

}  // namespace husk::oci::erofs
