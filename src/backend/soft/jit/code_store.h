// The translations of one vCPU, the code they are made of and the links between them. Everything
// lives until forget(), which empties the store; what became stale before is only unlinked and
// never found again.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "backend/soft/fpu/code_arena.h"
#include "backend/soft/interp/op.h"
#include "backend/soft/jit/assembler.h"

namespace husk::soft::jit {

using interp::Block;
using interp::Op;

struct Translation;

// A jump to code at a known RIP: at first to where its translation is left, once there is code for
// that RIP straight to it.
struct Exit {
  uint64_t rip = 0;
  JumpSite site;
  const uint8_t* unlinked = nullptr;  // as all addresses here, where it is written
  const Translation* from = nullptr;
  bool host_flags = false;        // the guest's flags are in EFLAGS, else in HotState::status
  bool careful = false;           // to a careful translation
  bool backward = false;          // may be part of a loop: attention is polled
  Translation* target = nullptr;  // that it is linked to
  uint8_t links = 0;              // that were made
  uint64_t key = 0;               // of jump entries, that the link is good for
  uint8_t* key_field = nullptr;   // where the code compares it; null: good for all
};

// Instructions for the interpreter, out of a translation.
struct Site {
  const Op* ops = nullptr;  // they end with that of end_handler()
  uint64_t block_rip = 0;
  uint16_t size = 0;  // of the access that missed the TLB
  uint16_t alignment = 1;
  uint16_t aligned_at = 0;  // what is to be aligned, counted from a span's begin
  bool write = false;
};

struct Translation {
  const Block* block = nullptr;
  uint64_t rip = 0;
  const uint8_t* entry = nullptr;          // flags are where the exit says
  const uint8_t* entry_loading = nullptr;  // flags are in HotState::status
  bool careful = false;  // each access is checked by itself; only careful exits lead here
  std::vector<Exit*> incoming;
};

class CodeStore {
 public:
  static constexpr size_t kSize = size_t{32} << 20;
  static constexpr size_t kLongest = size_t{64} << 10;  // of one translation and its links

  CodeStore() : arena_(kSize) {}
  [[nodiscard]] bool map() { return arena_.map(); }
  [[nodiscard]] bool full() const {
    return arena_.room() < 4 * kLongest || ops_used_ > kMostOps || exits_.size() > kMostExits;
  }
  void forget();

  [[nodiscard]] fpu::CodeArena& arena() { return arena_; }
  [[nodiscard]] Translation* find(const Block& block, uint64_t rip, bool careful) const;
  Translation& add(const Block& block, uint64_t rip, bool careful);
  // There is code of the block's page as it was earlier.
  [[nodiscard]] bool conflicts(const Block& block) const;
  Exit& add_exit() { return exits_.emplace_back(); }
  Site& add_site() { return sites_.emplace_back(); }
  // Room for that many ops.
  Op* add_ops(size_t count);

  // Makes `exit` jump to `code`, which begins `target`.
  void link(Exit& exit, Translation& target, const uint8_t* code);
  void unlink(Exit& exit);
  // Takes the translations of pages that were written out, and tells `gone` of each.
  template <class Gone>
  void drop_stale(Gone gone) {
    for (auto page = pages_.begin(); page != pages_.end();) {
      if (page->first->load(std::memory_order_acquire) == page->second.generation) {
        ++page;
        continue;
      }
      for (Translation* stale : page->second.translations) {
        gone(*stale);
        drop(*stale);
      }
      page = pages_.erase(page);
    }
  }

 private:
  static constexpr size_t kMostOps = size_t{1} << 18, kMostExits = size_t{1} << 19;
  static constexpr size_t kOpsChunk = 4096;
  struct Key {
    const Block* block;
    uint64_t rip;
    bool careful;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const {
      return reinterpret_cast<uintptr_t>(key.block) >> 6 ^ key.rip * 0x9e3779b97f4a7c15;
    }
  };
  struct Page {
    uint32_t generation = 0;
    std::vector<Translation*> translations;
  };
  void drop(Translation& stale);

  fpu::CodeArena arena_;
  std::unordered_map<Key, Translation*, Hash> found_;
  std::unordered_map<const std::atomic<uint32_t>*, Page> pages_;
  std::deque<Translation> translations_;
  std::deque<Exit> exits_;
  std::deque<Site> sites_;
  std::vector<std::unique_ptr<Op[]>> ops_;
  size_t ops_left_ = 0, ops_used_ = 0;
};

}  // namespace husk::soft::jit
