// The decoded blocks of one vCPU, by physical address and mode. Memory comes from an arena that is
// emptied whole when it is full, so a guest cannot make it grow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/soft/interp/op.h"

namespace husk::soft::interp {

class BlockCache {
 public:
  static constexpr size_t kArenaLimit = size_t{64} << 20;  // bytes
  static constexpr size_t kChunk = size_t{2} << 20;        // one page, where the host has such

  [[nodiscard]] const Block* find(uint64_t key) const {
    for (size_t at = home(key);; at = (at + 1) % slots_.size())
      if (slots_[at].block == nullptr || slots_[at].key == key) return slots_[at].block;
  }
  // A block of `ops`, of which it has a copy; valid until the next clear(). clear() when full()
  // first.
  [[nodiscard]] Block* make(std::span<const Op> ops);
  // One whose ops stay where they are.
  [[nodiscard]] Block* make_over(std::span<const Op> ops);
  // In place of another one with its key.
  void insert(const Block* block);
  [[nodiscard]] bool full() const { return used_ >= kArenaLimit; }
  void clear();
  void release();                                      // as clear(), and the memory goes back
  [[nodiscard]] size_t used() const { return used_; }  // bytes

 private:
  // Open addressing with the keys in the table: of a guest's first minutes most look-ups are of
  // code that is not there yet, or that the processor's caches do not hold.
  struct Slot {
    uint64_t key = 0;
    const Block* block = nullptr;  // null: free
  };
  static constexpr size_t kFewestSlots = 2048;  // a power of two, as all of its sizes

  [[nodiscard]] size_t home(uint64_t key) const {
    constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;  // 2^64 / the golden ratio
    return (key * kGolden >> 32) % slots_.size();
  }
  std::byte* allocate(size_t size);
  void put(const Slot& slot);
  void grow();

  std::vector<Slot> slots_ = std::vector<Slot>(kFewestSlots);
  size_t taken_ = 0;
  struct Free {
    void operator()(std::byte* chunk) const;
  };
  [[nodiscard]] std::unique_ptr<std::byte, Free> new_chunk() const;

  std::vector<std::unique_ptr<std::byte, Free>> chunks_;
  size_t chunks_used_ = 0;  // the last of them is being filled
  size_t offset_ = kChunk;  // into that one
  size_t used_ = 0;
};

}  // namespace husk::soft::interp
