#include "oci/slot_allocator.h"

#include <algorithm>

#include "base/checked.h"
#include "oci/erofs_format.h"

namespace husk::oci::erofs {
namespace {

constexpr size_t kMaxOpenBlocks = 16;

}  // namespace

SlotAllocator::SlotAllocator(uint32_t reserved) {
  const auto start = static_cast<uint32_t>(base::align_up(reserved, kSlotSize));
  keep_open({start, kBlockSize - start});
}

uint64_t SlotAllocator::place(uint64_t size) {
  size = base::align_up(size, kSlotSize);
  for (auto block = open_.begin(); block != open_.end(); ++block) {
    if (block->left < size) continue;
    const uint64_t offset = block->start;
    block->start += size;
    block->left -= static_cast<uint32_t>(size);
    if (block->left == 0) open_.erase(block);
    return offset;
  }
  const uint64_t offset = blocks_ * kBlockSize;
  const uint64_t end = base::align_up(offset + size, kBlockSize);
  blocks_ = end / kBlockSize;
  if (end > offset + size) keep_open({offset + size, static_cast<uint32_t>(end - offset - size)});
  return offset;
}

void SlotAllocator::keep_open(OpenBlock block) {
  if (open_.size() == kMaxOpenBlocks)
    open_.erase(
        std::min_element(open_.begin(), open_.end(),
                         [](const OpenBlock& a, const OpenBlock& b) { return a.left < b.left; }));
  open_.push_back(block);
}

}  // namespace husk::oci::erofs
