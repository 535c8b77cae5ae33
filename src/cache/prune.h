// Making room in the cache. What somebody uses stays (base/held_file.h), and so does a root image
// that a snapshot of the user's or a baked machine needs. Safe beside everybody who adds and uses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "husk/error.h"

#include "cache/entry.h"

namespace husk::cache {

struct PruneOptions {
  bool baked = false;               // also what was baked, which nobody makes again by itself
  uint64_t keep_bytes = 0;          // no more is removed than makes the cache as small as this
  uint64_t used_before_ns = ~0ULL;  // nothing is removed that was used later
};

struct Pruned {
  std::vector<Entry> removed;
  uint64_t bytes = 0;  // that they took on the disk
};

// The least recently used first. Takes away what killed writers left, too.
[[nodiscard]] Result<Pruned> prune(const Place& place, const PruneOptions& options);

// HUSK_CACHE_LIMIT, a size as base/size.h has it, or 20 GiB. kInvalidArgument for what is none.
[[nodiscard]] Result<uint64_t> limit();

// For who has added to the cache: within the limit, as far as that goes without what is used. What
// goes wrong is a warning, for it is none of the user's concern now.
void keep_within_limit();

}  // namespace husk::cache
