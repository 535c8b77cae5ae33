#include "cache/prune.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/directories.h"
#include "base/held_file.h"
#include "base/log.h"
#include "base/size.h"
#include "base/temp_file.h"
#include "base/try.h"

namespace husk::cache {
namespace {

constexpr const char* kLimit = "HUSK_CACHE_LIMIT";
constexpr uint64_t kDefaultLimit = uint64_t{20} << 30;

// What the baked one needed, others may.
void forget_need(const Entry& baked, std::vector<Entry>& entries) {
  for (Entry& entry : entries) {
    if (std::filesystem::path(entry.path).filename() != baked.root) continue;
    const auto need = std::ranges::find(entry.needed_by, "baked " + baked.label);
    if (need != entry.needed_by.end()) entry.needed_by.erase(need);
  }
}

bool may_go(const Entry& entry, const PruneOptions& options) {
  return (entry.kind != Kind::kBaked || options.baked) && entry.needed_by.empty() && !entry.held &&
         entry.used_ns < options.used_before_ns;
}

// Who makes a base holds the directory until the base itself is held. Invalid where there is none.
Result<base::Fd> wait_for_makers(const std::string& directory) {
  base::Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fd;
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail_errno(directory, "cannot lock");
  }
  return fd;
}

Result<Pruned> prune_to_limit() {
  const uint64_t most = HUSK_TRY(limit());
  const Place place = HUSK_TRY(default_place());
  return prune(place, {.baked = true, .keep_bytes = most});
}

}  // namespace

Result<Pruned> prune(const Place& place, const PruneOptions& options) {
  const base::Fd alone = HUSK_TRY(wait_for_makers(place.cache + "/base"));
  for (const char* directory : {"/images", "/base", "/baked"})
    base::sweep_temp_files(place.cache + directory);
  std::vector<Entry> entries = HUSK_TRY(list(place));
  uint64_t left = 0;
  for (const Entry& entry : entries) left += entry.disk_size;
  Pruned pruned;
  for (const Entry& entry : entries) {
    if (left <= options.keep_bytes) break;
    if (!may_go(entry, options) || !HUSK_TRY(base::remove_unheld(entry.path))) continue;
    left -= entry.disk_size;
    pruned.bytes += entry.disk_size;
    pruned.removed.push_back(entry);
    if (entry.kind == Kind::kBaked) forget_need(entry, entries);
  }
  return pruned;
}

Result<uint64_t> limit() {
  const std::string text = base::environment(kLimit);
  return text.empty() ? kDefaultLimit : base::parse_size(kLimit, text);
}

void keep_within_limit() {
  if (const auto pruned = prune_to_limit(); !pruned)
    base::log(base::LogLevel::kWarn, "{}; the cache may grow", pruned.error().message());
}

}  // namespace husk::cache
