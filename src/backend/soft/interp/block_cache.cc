#include "backend/soft/interp/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace husk::soft::interp {

void BlockCache::Free::operator()(std::byte* chunk) const { std::free(chunk); }

// A guest that gets beyond the first one has the next ones full in no time: in small pages that
// would be five hundred faults each. One that sleeps gives all of them back.
std::unique_ptr<std::byte, BlockCache::Free> BlockCache::new_chunk() const {
  auto* chunk = static_cast<std::byte*>(std::aligned_alloc(kChunk, kChunk));
  if (chunk == nullptr) throw std::bad_alloc();
  if (!chunks_.empty()) (void)::madvise(chunk, kChunk, MADV_HUGEPAGE);
  return std::unique_ptr<std::byte, Free>(chunk);
}

std::byte* BlockCache::allocate(size_t size) {
  if (offset_ + size > kChunk) {
    if (chunks_used_ == chunks_.size()) chunks_.push_back(new_chunk());
    ++chunks_used_;
    offset_ = 0;
  }
  std::byte* room = chunks_[chunks_used_ - 1].get() + offset_;
  offset_ += size;
  used_ += size;
  return room;
}

Block* BlockCache::make_over(std::span<const Op> ops) {
  auto* block = new (allocate(sizeof(Block))) Block;
  block->ops = ops.data();
  block->op_count = static_cast<uint32_t>(ops.size());
  return block;
}

Block* BlockCache::make(std::span<const Op> ops) {
  std::byte* room = allocate(sizeof(Block) + ops.size_bytes());
  auto* block = new (room) Block;
  std::memcpy(room + sizeof(Block), ops.data(), ops.size_bytes());
  block->ops = reinterpret_cast<const Op*>(room + sizeof(Block));
  block->op_count = static_cast<uint32_t>(ops.size());
  return block;
}

void BlockCache::put(const Slot& slot) {
  size_t at = home(slot.key);
  while (slots_[at].block != nullptr && slots_[at].key != slot.key) at = (at + 1) % slots_.size();
  if (slots_[at].block == nullptr) ++taken_;
  slots_[at] = slot;
}

void BlockCache::insert(const Block* block) {
  if (taken_ * 2 >= slots_.size()) grow();
  put({block->key, block});
}

void BlockCache::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  taken_ = 0;
  for (const Slot& slot : old)
    if (slot.block != nullptr) put(slot);
}

void BlockCache::clear() {
  std::ranges::fill(slots_, Slot{});
  taken_ = 0;
  chunks_used_ = 0;
  offset_ = kChunk;
  used_ = 0;
}

void BlockCache::release() {
  slots_ = std::vector<Slot>(kFewestSlots);
  clear();
  chunks_.clear();
}

}  // namespace husk::soft::interp
