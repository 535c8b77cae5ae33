// Writes memory into a snapshot file, and keeps the tables that say where it went.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "husk/error.h"

#include "snapshot/frame.h"
#include "snapshot/hash_thread.h"
#include "snapshot/memory_source.h"
#include "snapshot/runs.h"

namespace husk::snapshot {

class MemoryWriter {
 public:
  // Into the file behind its header. `subject` names it.
  MemoryWriter(int file, std::string subject, MemorySource& source,
               std::optional<Packer> packer = std::nullopt);

  // All of memory: where nothing is compressed, as one run whose zero pages are holes of the file,
  // so that one mmap(2) brings it back.
  [[nodiscard]] Result<void> write_all();
  // What is in `ranges`, of whole pages, packed.
  [[nodiscard]] Result<void> write_ranges(std::span<const Range> ranges);

  [[nodiscard]] std::span<const Run> runs() const { return runs_; }
  [[nodiscard]] std::span<const Sha256> digests() const { return digests_; }
  [[nodiscard]] uint64_t end() const { return end_; }  // of the memory in the file

 private:
  [[nodiscard]] Result<void> write_image();
  [[nodiscard]] Result<void> write_image_piece(Piece piece);
  [[nodiscard]] Result<void> write_plain(uint64_t at, std::span<const std::byte> bytes);
  [[nodiscard]] Result<void> write_packed(uint64_t at, std::span<const std::byte> bytes);
  [[nodiscard]] Result<void> write_run(uint64_t at, std::span<const std::byte> bytes,
                                       std::span<const std::byte> stored);
  void add_zeroes(uint64_t at, uint64_t length);
  void add_run(const Run& run);
  [[nodiscard]] Result<std::span<const std::byte>> read(uint64_t at, uint64_t length);

  int file_;
  std::string subject_;
  MemorySource& source_;
  std::optional<Packer> packer_;
  HashThread hasher_;
  std::vector<std::byte> buffer_;
  std::vector<Run> runs_;
  std::vector<Sha256> digests_;
  uint64_t end_ = kMemoryStart;
};

}  // namespace husk::snapshot
