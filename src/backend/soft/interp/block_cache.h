// The decoded blocks of one vCPU, by physical address and mode. Memory comes from an arena that is
// emptied whole when it is full, so a guest cannot make it grow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "backend/soft/interp/op.h"

namespace husk::soft::interp {

class BlockCache {
 public:
  static constexpr size_t kArenaLimit = size_t{64} << 20;  // bytes
  static constexpr size_t kChunk = size_t{1} << 20;

  [[nodiscard]] const Block* find(uint64_t key) const {
    const auto found = blocks_.find(key);
    return found == blocks_.end() ? nullptr : found->second;
  }
  // Room for a block of `ops`; valid until the next clear(). Never null: clear() when full() first.
  Block* allocate(uint32_t ops);
  void insert(Block* block) { blocks_[block->key] = block; }
  [[nodiscard]] bool full() const { return used_ >= kArenaLimit; }
  void clear();
  void release();                                      // as clear(), and the memory goes back
  [[nodiscard]] size_t used() const { return used_; }  // bytes

 private:
  std::unordered_map<uint64_t, const Block*> blocks_;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  size_t chunks_used_ = 0;  // the last of them is being filled
  size_t offset_ = kChunk;  // into that one
  size_t used_ = 0;
};

}  // namespace husk::soft::interp
