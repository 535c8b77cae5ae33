// The decoded blocks of one vCPU, by physical address and mode. Memory comes from an arena that is
// emptied whole when it is full, so a guest cannot make it grow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/soft/interp/op.h"

namespace husk::soft::interp {

class BlockCache {
 public:
  static constexpr size_t kArenaLimit = size_t{64} << 20;  // bytes
  static constexpr size_t kChunk = size_t{1} << 20;

  [[nodiscard]] const Block* find(uint64_t key) const {
    for (size_t at = first_slot(key); !slots_.empty(); ++at) {
      const Slot& slot = slots_[at & (slots_.size() - 1)];
      if (slot.block == nullptr || slot.key == key) return slot.block;
    }
    return nullptr;
  }
  // Room for a block of `ops`; valid until the next clear(). Never null: clear() when full() first.
  Block* allocate(uint32_t ops);
  void insert(Block* block);
  [[nodiscard]] bool full() const { return used_ >= kArenaLimit; }
  void clear();
  void release();                                      // as clear(), and the memory goes back
  [[nodiscard]] size_t used() const { return used_; }  // bytes

 private:
  // At most half of them are taken, so that a search ends soon. A power of two, or none.
  struct Slot {
    uint64_t key = 0;
    const Block* block = nullptr;
  };
  [[nodiscard]] static size_t first_slot(uint64_t key) {
    return static_cast<size_t>(key * 0x9e3779b97f4a7c15 >> 32);
  }
  Slot& slot_of(uint64_t key);
  void grow();

  std::vector<Slot> slots_;
  size_t taken_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  size_t chunks_used_ = 0;  // the last of them is being filled
  size_t offset_ = kChunk;  // into that one
  size_t used_ = 0;
};

}  // namespace husk::soft::interp
