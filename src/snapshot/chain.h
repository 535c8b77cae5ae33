// A snapshot with all that it builds on: a full one, and diffs from the oldest to the newest.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "husk/error.h"

#include "snapshot/extents.h"
#include "snapshot/snapshot_file.h"

namespace husk::snapshot {

class Chain {
 public:
  // Looks for parents in the snapshot's directory: under the name that a diff tells, then under
  // any, by id. kNotFound for a parent that is not there, kLimit beyond kMaxChain links, kCorrupt
  // where architecture or memory of two links differ.
  [[nodiscard]] static Result<Chain> open(const std::string& path);

  [[nodiscard]] std::span<const SnapshotFile> links() const { return links_; }  // oldest first
  [[nodiscard]] const SnapshotFile& tip() const { return links_.back(); }

  // All of memory, ascending, without gaps.
  [[nodiscard]] std::vector<Extent> extents() const;

 private:
  explicit Chain(std::vector<SnapshotFile> links) : links_(std::move(links)) {}

  std::vector<SnapshotFile> links_;
};

// The manifest of a snapshot that a diff shall build on: an error where such a diff could not be
// opened, because a parent is missing or the chain has its full length.
[[nodiscard]] Result<Identified> read_future_parent(const std::string& path);

}  // namespace husk::snapshot
