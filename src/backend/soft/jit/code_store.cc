#include "backend/soft/jit/code_store.h"

namespace husk::soft::jit {

void CodeStore::forget() {
  arena_.reset();
  found_.clear();
  pages_.clear();
  translations_.clear();
  exits_.clear();
  sites_.clear();
  ops_.clear();
  ops_left_ = ops_used_ = 0;
}

Translation* CodeStore::find(const Block& block, uint64_t rip, bool careful) const {
  const auto found = found_.find({&block, rip, careful});
  return found == found_.end() ? nullptr : found->second;
}

Translation& CodeStore::add(const Block& block, uint64_t rip, bool careful) {
  Translation& added = translations_.emplace_back();
  added.block = &block;
  added.rip = rip;
  added.careful = careful;
  found_[{&block, rip, careful}] = &added;
  // All of a page's translations are of one generation: drop_stale() comes before the next.
  Page& page = pages_[block.generation_now];
  page.generation = block.generation;
  page.translations.push_back(&added);
  if (block.generation_now2 != nullptr) {
    Page& second = pages_[block.generation_now2];
    second.generation = block.generation2;
    second.translations.push_back(&added);
  }
  return added;
}

bool CodeStore::conflicts(const Block& block) const {
  const auto differs = [&](const std::atomic<uint32_t>* page, uint32_t generation) {
    const auto found = pages_.find(page);
    return found != pages_.end() && found->second.generation != generation;
  };
  return differs(block.generation_now, block.generation) ||
         (block.generation_now2 != nullptr && differs(block.generation_now2, block.generation2));
}

Op* CodeStore::add_ops(size_t count) {
  if (ops_left_ < count) {
    ops_.push_back(std::make_unique<Op[]>(kOpsChunk));
    ops_left_ = kOpsChunk;
  }
  Op* at = ops_.back().get() + (kOpsChunk - ops_left_);
  ops_left_ -= count;
  ops_used_ += count;
  return at;
}

void CodeStore::link(Exit& exit, Translation& target, const uint8_t* code) {
  exit.site.to(code);
  exit.target = &target;
  ++exit.links;
  target.incoming.push_back(&exit);
}

void CodeStore::unlink(Exit& exit) {
  exit.site.to(exit.unlinked);
  std::erase(exit.target->incoming, &exit);
  exit.target = nullptr;
  exit.key_field = nullptr;
}

void CodeStore::drop(Translation& stale) {
  while (!stale.incoming.empty()) unlink(*stale.incoming.back());
  found_.erase({stale.block, stale.rip, stale.careful});
}

}  // namespace husk::soft::jit
