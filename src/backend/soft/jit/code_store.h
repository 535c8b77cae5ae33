// The translations of one vCPU and the links between them, in memory of a fixed size that holds
// all that is known of them. When it is full, the oldest eighth makes room.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "backend/soft/fpu/code_arena.h"
#include "backend/soft/jit/assembler.h"
#include "backend/soft/jit/code_records.h"

namespace husk::soft::jit {

class CodeStore {
 public:
  static constexpr size_t kSize = size_t{32} << 20;
  static constexpr size_t kRegions = 8;
  static constexpr size_t kLongest = size_t{64} << 10;  // of one translation

  CodeStore() : arena_(kSize) { forget(); }
  [[nodiscard]] bool map() { return arena_.map(); }
  void forget();
  void release_room();  // when all is forgotten

  // Code is written at next(), and take() keeps it.
  [[nodiscard]] uint8_t* next() { return begin() + regions_[current_].used; }
  void take(const uint8_t* end);
  // The same for what stays until forget(). Before the first translation.
  void take_for_good(const uint8_t* end) {
    take(end);
    regions_[0].begin = regions_[0].used;
  }
  [[nodiscard]] size_t room() const { return regions_[current_].end - regions_[current_].used; }
  // Room for `size` bytes; `gone` is told of each translation that is there no more. False: there
  // was room.
  template <class Gone>
  bool make_room(size_t size, Gone gone) {
    if (room() >= size) return false;
    current_ = (current_ + 1) % kRegions;
    evict(regions_[current_], gone);
    return true;
  }

  // Where something that was written at `at` is executed.
  [[nodiscard]] const uint8_t* executable(const uint8_t* at) { return arena_.executable(at); }
  [[nodiscard]] const uint8_t* executable(Ref ref) { return executable(begin() + ref); }
  [[nodiscard]] uint8_t* written(Ref ref) { return begin() + ref; }
  [[nodiscard]] Ref ref_of(const void* written) {
    return static_cast<Ref>(static_cast<const uint8_t*>(written) - begin());
  }
  [[nodiscard]] Ref ref_of_executed(const void* at) {
    return static_cast<Ref>(static_cast<const uint8_t*>(at) - executable(begin()));
  }
  [[nodiscard]] Translation& translation(Ref ref) {
    return *reinterpret_cast<Translation*>(begin() + ref);
  }
  [[nodiscard]] Exit& exit(Ref ref) { return *reinterpret_cast<Exit*>(begin() + ref); }

  [[nodiscard]] Translation* find(const Block& block, uint64_t rip, bool careful);
  // At next().
  Translation& add(const Block& block, uint64_t rip, bool careful);
  // There is code of the block's page as it was earlier.
  [[nodiscard]] bool conflicts(const Block& block) const;

  // Makes `exit` jump to `code`, which begins `target`.
  void link(Exit& exit, Translation& target, const uint8_t* code);
  void unlink(Exit& exit);
  // The call that an exit leaves by.
  [[nodiscard]] static const uint8_t* unlinked(const Exit& exit);
  // Takes the translations of pages that were written out, and tells `gone` of each.
  template <class Gone>
  void drop_stale(Gone gone) {
    for (auto page = pages_.begin(); page != pages_.end();) {
      if (page->first->load(std::memory_order_acquire) == page->second.generation) {
        ++page;
        continue;
      }
      for (Ref at = page->second.first; at != kNowhere; at = translation(at).next_of_page)
        drop(translation(at), gone);
      for (const Ref at : page->second.straddling) drop(translation(at), gone);
      page = pages_.erase(page);
    }
  }

 private:
  // [begin, end) of the store, filled in the order of their numbers. What is written for an exit
  // when it is linked lies in the exit's region or in a younger one.
  struct Region {
    Ref begin = 0, end = 0, used = 0;
    Ref first = kNowhere, last = kNowhere;  // translations
    [[nodiscard]] bool holds(Ref ref) const { return ref >= begin && ref < end; }
  };
  struct Page {
    uint32_t generation = 0;
    Ref first = kNowhere;
    std::vector<Ref> straddling;  // whose second page it is
  };
  static constexpr size_t kHashes = size_t{1} << 16;

  uint8_t* begin() { return arena_.next(); }
  [[nodiscard]] Ref& found(const Block& block, uint64_t rip);
  void keep_out(const Region& region);

  template <class Gone>
  void drop(Translation& stale, Gone gone) {
    if (stale.block == nullptr) return;
    gone(stale);
    drop(stale);
  }
  void drop(Translation& stale);
  template <class Gone>
  void evict(Region& region, Gone gone) {
    for (Ref at = region.first; at != kNowhere; at = translation(at).next_of_region)
      drop(translation(at), gone);
    keep_out(region);
    region.used = region.begin;
    region.first = region.last = kNowhere;
  }

  fpu::CodeArena arena_;  // as a whole: nothing in it is taken
  std::array<Region, kRegions> regions_;
  size_t current_ = 0;
  Ref settled_ = 0;         // up to here it is settled: the first time that it is filled
  std::vector<Ref> found_;  // by hash; empty while there is nothing
  std::unordered_map<const std::atomic<uint32_t>*, Page> pages_;
};

}  // namespace husk::soft::jit
