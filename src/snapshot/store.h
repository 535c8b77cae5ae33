// A directory of snapshots by name, for several processes at once: NAME.husk each, parents beside
// their diffs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "husk/error.h"

#include "base/fd.h"
#include "snapshot/chain.h"
#include "snapshot/flatten.h"
#include "snapshot/writer.h"

namespace husk::snapshot {

// One file of the store, as its manifest tells it.
struct StoreEntry {
  std::string name;
  std::string id;                        // 64 hexadecimal digits
  std::optional<std::string> parent_id;  // of a diff
  std::optional<std::string> parent;     // its name here; absent where it is not here
  Origin origin;
  uint64_t memory_size = 0;
  bool compressed = false;
  uint64_t file_size = 0;
  uint64_t disk_size = 0;  // what it takes on the disk, holes not counted
  std::optional<std::string>
      wrong;  // why it cannot be read; nothing but name and sizes is told then
};

// A line of the store's tree.
struct TreeEntry {
  StoreEntry entry;
  size_t depth = 0;
};

class Store {
 public:
  // Makes the directory (mode 0700) where there is none.
  [[nodiscard]] static Result<Store> open(const std::string& directory);

  // kInvalidArgument for what is no name: 1 to 200 of A-Z a-z 0-9 . _ -, not beginning with a dot.
  [[nodiscard]] Result<std::string> path_of(std::string_view name) const;

  [[nodiscard]] Result<std::vector<StoreEntry>> list() const;  // by name
  [[nodiscard]] Result<StoreEntry> inspect(std::string_view name) const;
  // Each snapshot behind its parent; those whose parent is not here stand with the full ones.
  [[nodiscard]] Result<std::vector<TreeEntry>> tree() const;

  [[nodiscard]] Result<Chain> open_chain(std::string_view name) const;
  [[nodiscard]] Result<Sha256> write_full(std::string_view name, const Contents& contents,
                                          const memory::GuestMemory& memory,
                                          const WriteOptions& options = {}) const;
  // On the snapshot `parent`, which nobody can remove meanwhile.
  [[nodiscard]] Result<Sha256> write_diff(std::string_view name, std::string_view parent,
                                          const Contents& contents,
                                          const memory::GuestMemory& memory,
                                          std::span<const Gpa> dirty,
                                          const WriteOptions& options = {}) const;
  [[nodiscard]] Result<Sha256> flatten(std::string_view name, std::string_view flat,
                                       const WriteOptions& options = {}) const;

  // kState where others build on it, unless forced: they are lost with it then. A chain that is
  // open, or memory restored from it, lives on.
  [[nodiscard]] Result<void> remove(std::string_view name, bool force = false) const;
  // Removes what killed writers left; says how many files.
  [[nodiscard]] Result<unsigned> prune() const;
  // For who reads and writes files of the store: nothing is removed as long as it is open.
  [[nodiscard]] Result<base::Fd> lock_shared() const;
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  explicit Store(std::string directory) : directory_(std::move(directory)) {}
  // Shared among those that add and read, exclusive for those that remove. Held as long as the
  // descriptor is open; goes with its process.
  [[nodiscard]] Result<base::Fd> lock(int kind) const;
  [[nodiscard]] Result<std::vector<StoreEntry>> entries() const;

  std::string directory_;
};

}  // namespace husk::snapshot
