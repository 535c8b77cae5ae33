// Whether the memory in snapshot files is what was written. Opening a file has checked all the
// rest.
#pragma once

#include <string>
#include <vector>

#include "snapshot/chain.h"

namespace husk::snapshot {

// A piece of memory that is not what it was, or cannot be read.
struct Damage {
  std::string file;
  uint64_t guest_addr = 0;
  uint64_t length = 0;
  std::string why;

  [[nodiscard]] std::string message() const;
};

// Reads all memory. A diff is checked by itself: its digests cover what it holds. At most
// kMaxDamage pieces are told.
constexpr size_t kMaxDamage = 1000;
[[nodiscard]] std::vector<Damage> verify(const SnapshotFile& file);
[[nodiscard]] std::vector<Damage> verify(const Chain& chain);

}  // namespace husk::snapshot
