#include "snapshot/runs.h"

#include <fmt/core.h>

#include "base/checked.h"
#include "base/try.h"
#include "contract/address.h"

namespace husk::snapshot {
namespace {

constexpr size_t kRunSize = 4 * sizeof(uint64_t);

bool in_pages(uint64_t value) { return value % kPageSize == 0; }

// Follows a table from its start and says what is wrong with the next run, null if nothing.
class RunChecker {
 public:
  explicit RunChecker(const RunRules& rules) : rules_(rules) {}

  const char* check(const Run& run) {
    if (run.length == 0 || !in_pages(run.at) || !in_pages(run.length)) return "is not in pages";
    if (!base::in_bounds(run.at, run.length, rules_.memory_size)) return "is not in memory";
    if (run.at < memory_end_) return "overlaps the one before";
    if (rules_.covers_all && run.at != memory_end_) return "leaves out memory before it";
    memory_end_ = run.end();
    return run.is_zero() ? check_zero(run) : check_stored(run);
  }
  [[nodiscard]] bool complete() const {
    return !rules_.covers_all || memory_end_ == rules_.memory_size;
  }

 private:
  static const char* check_zero(const Run& run) {
    return run.offset == 0 ? nullptr : "has a place and no bytes";
  }
  const char* check_stored(const Run& run) {
    if (!base::in_bounds(run.offset, run.stored, rules_.stored_end)) return "is not in the file";
    if (run.offset < stored_end_) return "lies on other bytes of the file";
    stored_end_ = run.offset + run.stored;
    return run.is_compressed()    ? check_compressed(run)
           : in_pages(run.offset) ? nullptr
                                  : "is not in pages of the file";
  }
  [[nodiscard]] const char* check_compressed(const Run& run) const {
    if (!rules_.may_compress || run.stored > run.length) return "has another length in the file";
    if (run.length > kFrame || pieces_of(run) != 1) return "is compressed in too large a frame";
    return nullptr;
  }

  RunRules rules_;
  uint64_t memory_end_ = 0;
  uint64_t stored_end_ = kMemoryStart;
};

}  // namespace

std::vector<std::byte> encode_runs(std::span<const Run> runs) {
  std::vector<std::byte> table;
  table.reserve(runs.size() * kRunSize);
  for (const Run& run : runs) {
    for (const uint64_t value : {run.at, run.length, run.offset, run.stored}) put(table, value);
  }
  return table;
}

Result<std::vector<Run>> decode_runs(std::span<const std::byte> table, const RunRules& rules,
                                     const std::string& subject) {
  if (table.size() % kRunSize != 0)
    return fail(ErrorKind::kCorrupt, subject, "its run table ends within a run");
  std::vector<Run> runs;
  runs.reserve(table.size() / kRunSize);
  RunChecker checker(rules);
  for (size_t at = 0; at < table.size(); at += kRunSize) {
    const Run run{get<uint64_t>(table, at), get<uint64_t>(table, at + 8),
                  get<uint64_t>(table, at + 16), get<uint64_t>(table, at + 24)};
    if (const char* wrong = checker.check(run))
      return fail(ErrorKind::kCorrupt, subject, fmt::format("run {} {}", runs.size(), wrong));
    runs.push_back(run);
  }
  if (!checker.complete())
    return fail(ErrorKind::kCorrupt, subject, "its run table leaves out the end of memory");
  return runs;
}

std::vector<std::byte> encode_digests(std::span<const Sha256> digests) {
  const auto bytes = std::as_bytes(digests);
  return {bytes.begin(), bytes.end()};
}

Result<std::vector<Sha256>> decode_digests(std::span<const std::byte> table,
                                           std::span<const Run> runs, const std::string& subject) {
  uint64_t pieces = 0;
  for (const Run& run : runs) pieces += pieces_of(run);
  if (table.size() != pieces * sizeof(Sha256))
    return fail(
        ErrorKind::kCorrupt, subject,
        fmt::format("has {} bytes of digests for {} pieces of memory", table.size(), pieces));
  std::vector<Sha256> digests(pieces);
  if (pieces != 0) std::memcpy(digests.data(), table.data(), table.size());
  return digests;
}

}  // namespace husk::snapshot
