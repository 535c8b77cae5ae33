// Places for EROFS's metadata records (an inode, its attributes, its data's tail).
#pragma once

#include <cstdint>
#include <vector>

namespace husk::oci::erofs {

// Records start at multiples of kSlotSize and, where they fit into one block, never cross into the
// next: a data tail must not (fs/erofs/data.c). A handful of part-filled blocks is kept open, so
// that a large record does not waste what is left of the block before it; the order of calls alone
// decides the places.
class SlotAllocator {
 public:
  // The first `reserved` bytes of block 0 are taken.
  explicit SlotAllocator(uint32_t reserved);

  // The byte offset of a new record; 0 < size.
  [[nodiscard]] uint64_t place(uint64_t size);
  // Blocks touched so far.
  [[nodiscard]] uint64_t blocks() const { return blocks_; }

 private:
  struct OpenBlock {
    uint64_t start;  // byte offset of its free part
    uint32_t left;
  };
  void keep_open(OpenBlock block);

  std::vector<OpenBlock> open_;
  uint64_t blocks_ = 1;
};

}  // namespace husk::oci::erofs
