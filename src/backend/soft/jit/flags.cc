// The guest's flags within a block: where they live, and when they go to memory and come back.
#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

// Backwards; whatever comes behind the block may ask for all of them.
void BlockTranslator::find_live_flags() {
  FlagSet live = kAllFlags;
  for (size_t i = items_.size(); i-- > 0;) {
    Item& item = items_[i];
    item.live_after = live;
    // An exception's frame shows them all, those too that are about to be overwritten.
    if (may_fault(item)) item.flags.shows = true;
    live = item.flags.shows ? kAllFlags
                            : static_cast<FlagSet>((live & ~item.flags.kills) | item.flags.reads);
    item.live_before = live;
  }
}

void BlockTranslator::save_flags() {
  write_save_flags(a_, HUSK_HOT(status));
  flags_.memory = true;
}

void BlockTranslator::load_flags() {
  write_load_flags(a_, HUSK_HOT(status));
  flags_.host = true;
}

// Code that destroys EFLAGS follows.
void BlockTranslator::before_clobber(const Item& item) {
  if (flags_.host && !flags_.memory && item.live_before != 0) save_flags();
  flags_.host = false;
}

// The instruction itself follows, for which RAX is free: what it reads and what it leaves alone is
// in EFLAGS.
void BlockTranslator::before_native(const Item& item) {
  if (needs_native(item) && !flags_.host) load_flags();
}

bool BlockTranslator::needs_native(const Item& item) {
  const FlagUse& use = item.flags;
  const FlagSet kept = use.touches ? static_cast<FlagSet>(item.live_after & ~use.kills) : 0;
  return (use.reads | kept) != 0;
}

void BlockTranslator::after_native(const Item& item) {
  if (item.flags.touches) flags_ = {true, false};
}

// The first that anything does with EFLAGS is to destroy them.
bool BlockTranslator::begins_with_clobber() const {
  for (const Item& item : items_) {
    if (item.form.family == Family::kJump || item.form.family == Family::kJumpIf) return false;
    if (may_fault(item)) return true;
    if (needs_native(item) || item.live_after == 0) return false;
  }
  return false;
}

}  // namespace husk::soft::jit
