// The run table: which memory a snapshot holds, and where in the file. Memory is addressed by
// offset, all regions back to back, as memory::GuestMemory lays them out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "husk/error.h"

#include "snapshot/format.h"
#include "snapshot/sha256.h"

namespace husk::snapshot {

// `length` bytes of memory at `at`. Their bytes are in the file at `offset`: as they are, where
// `stored` is `length`; as one zstd frame, where it is less; nowhere (they are zero), where it is
// 0.
struct Run {
  uint64_t at = 0;
  uint64_t length = 0;
  uint64_t offset = 0;
  uint64_t stored = 0;

  [[nodiscard]] uint64_t end() const { return at + length; }
  [[nodiscard]] bool is_zero() const { return stored == 0; }
  [[nodiscard]] bool is_compressed() const { return stored != 0 && stored != length; }

  bool operator==(const Run&) const = default;
};

// A run's bytes are digested in pieces, cut where `at` is a multiple of kPiece.
struct Piece {
  uint64_t at = 0;
  uint64_t length = 0;
};
[[nodiscard]] inline Piece piece_at(uint64_t at, uint64_t end) {
  const uint64_t border = (at / kPiece + 1) * kPiece;
  return {at, (border < end ? border : end) - at};
}
[[nodiscard]] inline uint64_t pieces_of(const Run& run) {
  return run.is_zero() ? 0 : (run.end() - 1) / kPiece - run.at / kPiece + 1;
}

// What a table has to fit.
struct RunRules {
  uint64_t memory_size = 0;
  uint64_t stored_end = 0;  // of the memory's place in the file
  bool covers_all = false;  // a snapshot without parent
  bool may_compress = false;
};

[[nodiscard]] std::vector<std::byte> encode_runs(std::span<const Run> runs);
// kCorrupt, naming the run, for a table that breaks a rule.
[[nodiscard]] Result<std::vector<Run>> decode_runs(std::span<const std::byte> table,
                                                   const RunRules& rules,
                                                   const std::string& subject);

// One digest for each piece of each run, in order; runs of zeroes have none.
[[nodiscard]] std::vector<std::byte> encode_digests(std::span<const Sha256> digests);
[[nodiscard]] Result<std::vector<Sha256>> decode_digests(std::span<const std::byte> table,
                                                         std::span<const Run> runs,
                                                         const std::string& subject);

}  // namespace husk::snapshot
