// A snapshot file, opened for reading. What it says is read into this process's own memory and
// checked once; a file that changes afterwards can harm the guest's memory only.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "husk/error.h"

#include "base/fd.h"
#include "snapshot/contents.h"
#include "snapshot/manifest.h"
#include "snapshot/runs.h"

namespace husk::snapshot {

// A compressed run, unpacked, for readers that come back for more of it.
struct Unpacked {
  const Run* run = nullptr;
  std::vector<std::byte> bytes;
};

class SnapshotFile {
 public:
  // Checks everything but the memory's bytes: header, manifest, tables and states against the file,
  // the limits and their digests. Every refusal names the file.
  [[nodiscard]] static Result<SnapshotFile> open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const Sha256& id() const { return id_; }
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  [[nodiscard]] const Contents& contents() const { return contents_; }
  [[nodiscard]] std::span<const Run> runs() const { return runs_; }
  [[nodiscard]] std::span<const Sha256> digests() const { return digests_; }
  [[nodiscard]] uint64_t memory_size() const { return manifest_.machine.total_memory; }
  [[nodiscard]] bool is_diff() const { return manifest_.machine.parent_id.has_value(); }

  // Memory from `at` on, within one of runs().
  [[nodiscard]] Result<void> read(const Run& run, uint64_t at, std::span<std::byte> out,
                                  Unpacked& unpacked) const;
  // The guest address of an offset in memory.
  [[nodiscard]] uint64_t guest_address(uint64_t at) const;

 private:
  SnapshotFile() = default;
  [[nodiscard]] Result<void> load_tables();
  [[nodiscard]] Result<void> load_states();
  [[nodiscard]] Result<std::vector<std::byte>> load(const Part& part) const;

  std::string path_;
  base::Fd fd_;
  Sha256 id_{};
  Manifest manifest_;
  Contents contents_;
  std::vector<Run> runs_;
  std::vector<Sha256> digests_;
};

// The manifest alone, with its id: what a list of snapshots needs.
struct Identified {
  Sha256 id{};
  Manifest manifest;
};
[[nodiscard]] Result<Identified> read_manifest(int fd, const std::string& path);
[[nodiscard]] Result<Identified> read_manifest(const std::string& path);

// open(2) for a file that may be anything: it neither waits for a pipe's writer nor takes a
// terminal.
[[nodiscard]] Result<base::Fd> open_snapshot(const std::string& path);

}  // namespace husk::snapshot
