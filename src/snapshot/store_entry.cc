#include "snapshot/store_entry.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/try.h"
#include "snapshot/snapshot_file.h"

namespace husk::snapshot {
namespace {

constexpr std::string_view kSuffix = ".husk";
constexpr size_t kMaxName = 200;
constexpr uint64_t kStatBlock = 512;  // of st_blocks, stat(3type)

Result<void> fill(StoreEntry& entry, const std::string& path) {
  const base::Fd fd = HUSK_TRY(open_snapshot(path));
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno(path, "cannot stat");
  entry.file_size = static_cast<uint64_t>(st.st_size);
  entry.disk_size = static_cast<uint64_t>(st.st_blocks) * kStatBlock;
  Identified snapshot = HUSK_TRY(read_manifest(fd.get(), path));
  entry.id = to_hex(snapshot.id);
  entry.parent_id = snapshot.manifest.machine.parent_id;
  entry.parent = snapshot.manifest.parent_file;  // for name_parents()
  entry.origin = std::move(snapshot.manifest.origin);
  entry.memory_size = snapshot.manifest.machine.total_memory;
  entry.compressed = snapshot.manifest.machine.compressed;
  return {};
}

class TreeBuilder {
 public:
  explicit TreeBuilder(const std::vector<StoreEntry>& entries) {
    for (const StoreEntry& entry : entries) children_[entry.parent.value_or("")].push_back(&entry);
  }
  // An id holds its parent's, so that parentage has no rings and this comes to an end.
  std::vector<TreeEntry> build() {
    std::vector<TreeEntry> open;
    push_children("", 0, open);
    std::vector<TreeEntry> lines;
    while (!open.empty()) {
      lines.push_back(std::move(open.back()));
      open.pop_back();
      push_children(lines.back().entry.name, lines.back().depth + 1, open);
    }
    return lines;
  }

 private:
  // The last first: what is open is taken from its end.
  void push_children(const std::string& parent, size_t depth, std::vector<TreeEntry>& open) {
    auto& children = children_[parent];
    for (auto child = children.rbegin(); child != children.rend(); ++child)
      open.push_back({**child, depth});
  }

  std::map<std::string, std::vector<const StoreEntry*>> children_;
};

}  // namespace

bool is_snapshot_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxName && name[0] != '.' &&
         std::ranges::all_of(name, fits);
}

std::string file_of(std::string_view name) { return std::string(name) + std::string(kSuffix); }

std::optional<std::string> name_of(std::string_view file) {
  if (!file.ends_with(kSuffix)) return std::nullopt;
  file.remove_suffix(kSuffix.size());
  if (!is_snapshot_name(file)) return std::nullopt;
  return std::string(file);
}

StoreEntry read_entry(const std::string& name, const std::string& path) {
  StoreEntry entry;
  entry.name = name;
  const auto filled = fill(entry, path);
  if (!filled) entry.wrong = filled.error().message();
  return entry;
}

void name_parents(std::vector<StoreEntry>& entries) {
  std::multimap<std::string, std::string> names;  // by id
  for (const StoreEntry& entry : entries) {
    if (!entry.wrong) names.emplace(entry.id, entry.name);
  }
  for (StoreEntry& entry : entries) {
    if (!entry.parent_id) continue;
    const std::string hint = entry.parent.value_or("");
    entry.parent.reset();
    const auto [first, last] = names.equal_range(*entry.parent_id);
    for (auto found = first; found != last; ++found) {
      if (!entry.parent || file_of(found->second) == hint) entry.parent = found->second;
    }
  }
}

std::vector<TreeEntry> as_tree(const std::vector<StoreEntry>& entries) {
  return TreeBuilder(entries).build();
}

}  // namespace husk::snapshot
