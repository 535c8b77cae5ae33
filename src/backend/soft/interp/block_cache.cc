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

// Where `key` is, or may be put.
BlockCache::Slot& BlockCache::slot_of(uint64_t key) {
  for (size_t at = first_slot(key);; ++at) {
    Slot& slot = slots_[at & (slots_.size() - 1)];
    if (slot.block == nullptr || slot.key == key) return slot;
  }
}

void BlockCache::insert(Block* block) {
  if (taken_ >= slots_.size() / 2) grow();
  Slot& slot = slot_of(block->key);
  if (slot.block == nullptr) ++taken_;
  slot = {block->key, block};
}

void BlockCache::grow() {
  constexpr size_t kFirst = 1024;
  std::vector<Slot> before(slots_.empty() ? kFirst : slots_.size() * 2);
  before.swap(slots_);
  for (const Slot& slot : before)
    if (slot.block != nullptr) slot_of(slot.key) = slot;
}

void BlockCache::clear() {
  slots_ = {};
  taken_ = 0;
  chunks_used_ = 0;
  offset_ = kChunk;
  used_ = 0;
}

void BlockCache::release() {
  clear();
  chunks_.clear();
}

}  // namespace husk::soft::interp
