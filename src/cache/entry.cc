#include "cache/entry.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/held_file.h"
#include "base/try.h"
#include "oci/cache.h"
#include "snapshot/location.h"

namespace husk::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kImageSuffix = ".erofs";
constexpr uint64_t kStatBlock = 512;  // of st_blocks, stat(3type)
constexpr uint64_t kNsPerSecond = 1'000'000'000;

// What a file is, apart from what is in it. False: it is gone.
bool look(Entry& entry) {
  struct stat st{};
  if (::stat(entry.path.c_str(), &st) != 0) return false;
  entry.disk_size = static_cast<uint64_t>(st.st_blocks) * kStatBlock;
  entry.used_ns = static_cast<uint64_t>(st.st_mtim.tv_sec) * kNsPerSecond +
                  static_cast<uint64_t>(st.st_mtim.tv_nsec);
  entry.held = base::is_held(entry.path);
  return true;
}

void add_images(const std::string& directory, std::vector<Entry>& entries) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string file = it->path().filename();
    if (!file.ends_with(kImageSuffix)) continue;
    Entry entry{.kind = Kind::kImage,
                .name = file.substr(0, file.size() - kImageSuffix.size()),
                .path = it->path()};
    if (look(entry)) entries.push_back(std::move(entry));
  }
}

std::string value(const snapshot::Origin& origin, const char* name) {
  const auto found = origin.identity.find(name);
  return found == origin.identity.end() ? std::string() : found->second;
}

Result<void> add_machines(Kind kind, const std::string& directory, std::vector<Entry>& entries) {
  if (!fs::is_directory(directory)) return {};
  const auto store = HUSK_TRY(snapshot::Store::open(directory));
  for (const snapshot::StoreEntry& kept : HUSK_TRY(store.list())) {
    Entry entry{.kind = kind,
                .name = kept.name,
                .label = value(kept.origin, "name"),
                .path = HUSK_TRY(store.path_of(kept.name)),
                .root = value(kept.origin, "root"),
                .wrong = kept.wrong.value_or(""),
                .memory_size = kept.memory_size};
    if (look(entry)) entries.push_back(std::move(entry));
  }
  return {};
}

using Needs = std::multimap<std::string, std::string>;  // a root image's file name, by whom

Result<Needs> needs_of_snapshots(const std::string& directory) {
  Needs needs;
  if (!fs::is_directory(directory)) return needs;
  const auto store = HUSK_TRY(snapshot::Store::open(directory));
  for (const snapshot::StoreEntry& kept : HUSK_TRY(store.list()))
    needs.emplace(value(kept.origin, "root"), "snapshot " + kept.name);
  return needs;
}

// A root image was used whenever a machine with it was.
void tell_needs(Needs needs, std::vector<Entry>& entries) {
  std::map<std::string, uint64_t> used;
  for (const Entry& entry : entries) {
    if (entry.kind != Kind::kBaked) continue;
    needs.emplace(entry.root, "baked " + entry.label);
    uint64_t& last = used[entry.root];
    last = std::max(last, entry.used_ns);
  }
  for (Entry& entry : entries) {
    if (entry.kind != Kind::kImage) continue;
    const std::string file = fs::path(entry.path).filename();
    const auto [first, last] = needs.equal_range(file);
    for (auto need = first; need != last; ++need) entry.needed_by.push_back(need->second);
    if (const auto found = used.find(file); found != used.end())
      entry.used_ns = std::max(entry.used_ns, found->second);
  }
}

}  // namespace

Result<Place> default_place() {
  return Place{HUSK_TRY(oci::default_cache_directory()),
               snapshot::default_store_directory().value_or("")};
}

std::string_view to_string(Kind kind) {
  return kind == Kind::kImage ? "image" : kind == Kind::kBase ? "base" : "baked";
}

Result<std::vector<Entry>> list(const Place& place) {
  std::vector<Entry> entries;
  HUSK_TRY(add_machines(Kind::kBase, place.cache + "/base", entries));
  HUSK_TRY(add_machines(Kind::kBaked, place.cache + "/baked", entries));
  add_images(place.cache + "/images", entries);
  Needs needs = HUSK_TRY(needs_of_snapshots(place.snapshots));
  tell_needs(std::move(needs), entries);
  std::ranges::stable_sort(entries, {}, &Entry::used_ns);
  return entries;
}

}  // namespace husk::cache
