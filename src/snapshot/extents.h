// What memory is made of, once several snapshots lie on each other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "snapshot/snapshot_file.h"

namespace husk::snapshot {

// A piece of memory and the run that has it, or none: zeroes.
struct Extent {
  uint64_t at = 0;
  uint64_t length = 0;
  const SnapshotFile* file = nullptr;
  const Run* run = nullptr;

  [[nodiscard]] uint64_t end() const { return at + length; }
  [[nodiscard]] bool is_zero() const { return run->is_zero(); }
  // Where the bytes are in the file; of a run that is neither zero nor compressed.
  [[nodiscard]] uint64_t file_offset() const { return run->offset + (at - run->at); }
};

// All of `above`, and of the file's runs what shows beside it. Both ascend, as does the result.
[[nodiscard]] std::vector<Extent> lay_under(std::span<const Extent> above,
                                            const SnapshotFile& file);

}  // namespace husk::snapshot
