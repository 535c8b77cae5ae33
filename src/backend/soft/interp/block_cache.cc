#include "backend/soft/interp/block_cache.h"

#include <new>

namespace husk::soft::interp {

Block* BlockCache::allocate(uint32_t ops) {
  const size_t size = (sizeof(Block) + ops * sizeof(Op) + 63) & ~size_t{63};
  if (offset_ + size > kChunk) {
    if (chunks_used_ == chunks_.size())
      chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(kChunk));
    ++chunks_used_;
    offset_ = 0;
  }
  auto* block = new (chunks_[chunks_used_ - 1].get() + offset_) Block;
  for (uint32_t i = 0; i < ops; ++i) new (&block->ops[i]) Op;
  block->op_count = ops;
  offset_ += size;
  used_ += size;
  return block;
}

void BlockCache::clear() {
  blocks_.clear();
  chunks_used_ = 0;
  offset_ = kChunk;
  used_ = 0;
}

void BlockCache::release() {
  clear();
  chunks_.clear();
  blocks_.rehash(0);
}

}  // namespace husk::soft::interp
