// husk snapshot ls and tree: what is in the store, by name or by parentage.
#include <fmt/core.h>

#include "base/try.h"
#include "cli/report.h"
#include "cli/snapshot/entry_json.h"
#include "cli/snapshot/verbs.h"
#include "cli/table.h"
#include "snapshot/location.h"

namespace husk::cli {
namespace {

using snapshot::StoreEntry;
using snapshot::TreeEntry;
using Row = std::vector<std::string>;

constexpr size_t kShortId = 12;

Row row_of(const TreeEntry& line) {
  const StoreEntry& entry = line.entry;
  const std::string name = std::string(2 * line.depth, ' ') + entry.name;
  const std::string disk = size_text(entry.disk_size);
  if (entry.wrong) return {name, "-", "-", "-", disk, *entry.wrong};
  const std::string parent =
      !entry.parent_id ? "" : entry.parent.value_or("missing: " + entry.parent_id->substr(0, 12));
  return {name,
          entry.id.substr(0, kShortId),
          time_text(entry.origin.realtime_ns),
          size_text(entry.memory_size),
          disk,
          parent};
}

void print(const std::vector<TreeEntry>& lines, const std::string& format) {
  if (format == "json") {
    auto list = nlohmann::ordered_json::array();
    for (const TreeEntry& line : lines) {
      list.push_back(entry_json(line.entry));
      list.back()["depth"] = line.depth;
    }
    return print_json(list);
  }
  std::vector<Row> rows{{"NAME", "ID", "CREATED", "MEMORY", "ON DISK", "PARENT"}};
  uint64_t all = 0;
  for (const TreeEntry& line : lines) {
    rows.push_back(row_of(line));
    all += line.entry.disk_size;
  }
  print_table(rows);
  if (lines.size() > 1) fmt::print("{} snapshots, {} on disk\n", lines.size(), size_text(all));
}

Result<void> ls(const std::string& format) {
  const snapshot::Store store = HUSK_TRY(snapshot::open_default_store());
  std::vector<TreeEntry> lines;
  for (StoreEntry& entry : HUSK_TRY(store.list())) lines.push_back({std::move(entry), 0});
  print(lines, format);
  return {};
}

Result<void> tree(const std::string& format) {
  const snapshot::Store store = HUSK_TRY(snapshot::open_default_store());
  print(HUSK_TRY(store.tree()), format);
  return {};
}

void add(Verb& snapshot, const char* name, const char* what,
         Result<void> (*action)(const std::string&)) {
  auto format = std::make_shared<std::string>("table");
  snapshot.verb(name, what).format(*format).run([format, action] {
    return finish(action(*format));
  });
}

}  // namespace

void add_snapshot_ls(Verb& snapshot) { add(snapshot, "ls", "List the store by name", ls); }

void add_snapshot_tree(Verb& snapshot) {
  add(snapshot, "tree", "Who builds on whom, and what each one costs on the disk", tree);
}

}  // namespace husk::cli
