// Writes snapshots. A file appears under its name complete and on the disk, or not at all: it is
// built without a name, and a writer that fails or is killed leaves nothing.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "husk/error.h"

#include "memory/guest_memory.h"
#include "snapshot/contents.h"
#include "snapshot/memory_source.h"
#include "snapshot/sha256.h"

namespace husk::snapshot {

struct WriteOptions {
  bool compress = false;  // smaller, but read and unpacked at restore instead of mapped
  int level = 1;          // zstd's
  bool replace = false;   // a file that exists, in one step
};

// What a diff builds on: a snapshot in the same directory.
struct Parent {
  Sha256 id{};
  std::string file;  // its name there
};

// All of memory. The machine is paused: nobody writes its memory meanwhile. kState where `path`
// exists and is not to be replaced; returns the snapshot's id.
[[nodiscard]] Result<Sha256> write_full(const std::string& path, const Contents& contents,
                                        const memory::GuestMemory& memory,
                                        const WriteOptions& options = {});

// The pages that were written since the parent was captured, in any order.
[[nodiscard]] Result<Sha256> write_diff(const std::string& path, const Parent& parent,
                                        const Contents& contents, const memory::GuestMemory& memory,
                                        std::span<const Gpa> dirty,
                                        const WriteOptions& options = {});

// As write_full, of memory from elsewhere; `contents.machine` tells the regions.
[[nodiscard]] Result<Sha256> write_from(const std::string& path, const Contents& contents,
                                        MemorySource& source, const WriteOptions& options);

// Removes what killed writers left in `directory`, if its file system has names for it at all; says
// how many there were.
unsigned prune(const std::string& directory);

}  // namespace husk::snapshot
