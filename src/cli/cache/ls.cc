// husk cache ls: what is kept, what it takes, when it was used, and who uses it.
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "base/clock.h"
#include "base/try.h"
#include "cache/entry.h"
#include "cli/cache/verbs.h"
#include "cli/machines/duration.h"
#include "cli/report.h"
#include "cli/snapshot/entry_json.h"
#include "cli/table.h"
#include "registry/registry.h"

namespace husk::cli {
namespace {

using cache::Entry;
using Json = nlohmann::ordered_json;

constexpr size_t kShortName = 19;  // of a digest: "sha256-" and as much as others print of one

// The machines whose records name the file, and what else needs it. A machine of which this user's
// registry knows nothing is only seen to be there.
std::vector<std::string> users_of(const Entry& entry,
                                  const std::vector<registry::Machine>& machines) {
  std::vector<std::string> users;
  for (const auto& [folder, record] : machines) {
    if (record.is_live() && std::ranges::find(record.files, entry.path) != record.files.end())
      users.push_back("machine " + record.name);
  }
  if (users.empty() && entry.held) users.emplace_back("a machine");
  users.insert(users.end(), entry.needed_by.begin(), entry.needed_by.end());
  return users;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

Json to_json(const Entry& entry, const std::vector<std::string>& users) {
  Json json{{"kind", to_string(entry.kind)}, {"name", entry.name}, {"path", entry.path}};
  if (entry.kind == cache::Kind::kBaked) {
    json["label"] = entry.label;
    json["root"] = entry.root;
  }
  if (!entry.wrong.empty()) json["wrong"] = entry.wrong;
  if (entry.kind != cache::Kind::kImage) json["memory_size"] = entry.memory_size;
  json["disk_size"] = entry.disk_size;
  json["used"] = machines::timestamp(entry.used_ns);
  json["in_use"] = entry.held;
  json["used_by"] = users;
  return json;
}

std::vector<std::string> row_of(const Entry& entry, const std::vector<std::string>& users) {
  const uint64_t now = base::realtime_ns();
  const std::string name = entry.label.empty() ? entry.name.substr(0, kShortName) : entry.label;
  return {std::string(to_string(entry.kind)),
          name,
          entry.memory_size == 0 ? "" : size_text(entry.memory_size),
          size_text(entry.disk_size),
          machines::roughly(now - std::min(now, entry.used_ns)) + " ago",
          entry.wrong.empty() ? joined(users) : entry.wrong};
}

Result<void> ls(const std::string& format) {
  const auto known = HUSK_TRY(registry::Registry::open_default());
  const auto machines = HUSK_TRY(known.list());
  const auto place = HUSK_TRY(cache::default_place());
  const std::vector<Entry> entries = HUSK_TRY(cache::list(place));
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows{
      {"KIND", "NAME", "MEMORY", "ON DISK", "LAST USED", "USED BY"}};
  uint64_t all = 0;
  for (const Entry& entry : entries) {
    const auto users = users_of(entry, machines);
    list.push_back(to_json(entry, users));
    rows.push_back(row_of(entry, users));
    all += entry.disk_size;
  }
  if (format == "json") {
    print_json(list);
  } else {
    print_table(rows);
    fmt::print("{} kept, {} on disk\n", entries.size(), size_text(all));
  }
  return {};
}

}  // namespace

void add_cache_ls(Verb& cache) {
  auto format = std::make_shared<std::string>("table");
  cache.verb("ls", "List it, what was not used for longest first").format(*format).run([format] {
    return finish(ls(*format));
  });
}

}  // namespace husk::cli
