#include "backend/soft/jit/code_store.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/checked.h"

namespace husk::soft::jit {

namespace {

constexpr size_t kCallLength = 5;

}  // namespace

void CodeStore::forget() {
  constexpr Ref kRegionSize = kSize / kRegions;
  for (Ref i = 0; i < kRegions; ++i) {
    const Ref begin = std::max<Ref>(i * kRegionSize, alignof(Translation));  // not kNowhere
    regions_[i] = {.begin = begin, .end = (i + 1) * kRegionSize, .used = begin};
  }
  current_ = 0;
  found_ = {};
  pages_.clear();
}

void CodeStore::release_room() {
  arena_.release_room();
  settled_ = 0;
}

void CodeStore::take(const uint8_t* end) {
  regions_[current_].used = ref_of(end);
  if (ref_of(end) < settled_ + fpu::CodeArena::kLargePage) return;
  arena_.settle(settled_, ref_of(end));
  settled_ = static_cast<Ref>(base::align_down(ref_of(end), fpu::CodeArena::kLargePage));
}

// The translations that hash alike.
Ref& CodeStore::found(const Block& block, uint64_t rip) {
  if (found_.empty()) found_.resize(kHashes);
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;  // 2^64 / the golden ratio
  return found_[((reinterpret_cast<uintptr_t>(&block) ^ rip) * kGolden >> 32) % kHashes];
}

Translation* CodeStore::find(const Block& block, uint64_t rip, bool careful) {
  for (Ref at = found(block, rip); at != kNowhere; at = translation(at).next_found) {
    Translation& candidate = translation(at);
    if (candidate.block == &block && candidate.rip == rip && candidate.careful == careful)
      return &candidate;
  }
  return nullptr;
}

Translation& CodeStore::add(const Block& block, uint64_t rip, bool careful) {
  Region& region = regions_[current_];
  region.used = static_cast<Ref>(base::align_up(region.used, alignof(Translation)));
  auto* added = new (next()) Translation{.block = &block, .rip = rip, .careful = careful};
  const Ref ref = region.used;
  region.used += sizeof(Translation);
  (region.last == kNowhere ? region.first : translation(region.last).next_of_region) = ref;
  region.last = ref;

  Ref& alike = found(block, rip);
  added->next_found = alike;
  alike = ref;
  // All of a page's translations are of one generation: drop_stale() comes before the next.
  Page& page = pages_[block.generation_now];
  page.generation = block.generation;
  added->next_of_page = page.first;
  page.first = ref;
  if (block.generation_now2 != nullptr) {
    Page& second = pages_[block.generation_now2];
    second.generation = block.generation2;
    second.straddling.push_back(ref);
  }
  return *added;
}

bool CodeStore::conflicts(const Block& block) const {
  const auto differs = [&](const std::atomic<uint32_t>* page, uint32_t generation) {
    const auto found = pages_.find(page);
    return found != pages_.end() && found->second.generation != generation;
  };
  return differs(block.generation_now, block.generation) ||
         (block.generation_now2 != nullptr && differs(block.generation_now2, block.generation2));
}

const uint8_t* CodeStore::unlinked(const Exit& exit) {
  return reinterpret_cast<const uint8_t*>(&exit) - kCallLength;
}

void CodeStore::link(Exit& exit, Translation& target, const uint8_t* code) {
  JumpSite{begin() + exit.site}.to(code);
  exit.target = ref_of(&target);
  exit.next = target.incoming;
  target.incoming = ref_of(&exit);
  ++exit.links;
}

void CodeStore::unlink(Exit& exit) {
  JumpSite{begin() + exit.site}.to(unlinked(exit));
  Translation& target = translation(exit.target);
  const Ref ref = ref_of(&exit);
  if (target.incoming == ref) {
    target.incoming = exit.next;
  } else {
    Ref before = target.incoming;
    while (this->exit(before).next != ref) before = this->exit(before).next;
    this->exit(before).next = exit.next;
  }
  exit.target = exit.key_field = kNowhere;
}

void CodeStore::drop(Translation& stale) {
  while (stale.incoming != kNowhere) unlink(exit(stale.incoming));
  const Ref ref = ref_of(&stale);
  Ref* alike = &found(*stale.block, stale.rip);
  while (*alike != ref) alike = &translation(*alike).next_found;
  *alike = stale.next_found;
  stale.block = nullptr;
}

// Takes what lies in a region, whose translations are dropped, out of the lists of all others.
void CodeStore::keep_out(const Region& region) {
  for (const Region& other : regions_) {
    if (&other == &region) continue;
    for (Ref at = other.first; at != kNowhere; at = translation(at).next_of_region) {
      const Ref head = std::exchange(translation(at).incoming, kNowhere);
      for (Ref in = head; in != kNowhere;) {
        const Ref next = exit(in).next;
        if (!region.holds(in)) {
          exit(in).next = translation(at).incoming;
          translation(at).incoming = in;
        }
        in = next;
      }
    }
  }
  for (auto at = pages_.begin(); at != pages_.end();) {
    Page& page = at->second;
    Ref* to = &page.first;
    for (Ref of = page.first; of != kNowhere; of = translation(of).next_of_page) {
      if (region.holds(of)) continue;
      *to = of;
      to = &translation(of).next_of_page;
    }
    *to = kNowhere;
    std::erase_if(page.straddling, [&](Ref of) { return region.holds(of); });
    const bool empty = page.first == kNowhere && page.straddling.empty();
    at = empty ? pages_.erase(at) : std::next(at);
  }
}

}  // namespace husk::soft::jit
