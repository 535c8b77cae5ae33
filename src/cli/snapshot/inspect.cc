// husk snapshot inspect: all that a snapshot says of itself, and of those that it builds on.
#include <fmt/core.h>

#include <filesystem>

#include "base/try.h"
#include "cli/report.h"
#include "cli/snapshot/entry_json.h"
#include "cli/snapshot/verbs.h"
#include "cli/table.h"
#include "snapshot/location.h"
#include "snapshot/store_entry.h"

namespace husk::cli {
namespace {

using Json = nlohmann::ordered_json;

Json chain_json(const snapshot::Chain& chain) {
  Json links = Json::array();
  for (const snapshot::SnapshotFile& link : chain.links()) links.push_back(link.path());
  return links;
}

// What only the file itself tells.
void add_details(Json& json, const snapshot::Chain& chain) {
  const snapshot::Manifest& manifest = chain.tip().manifest();
  json["path"] = chain.tip().path();
  json["arch"] = manifest.machine.arch == CpuArch::kX86_64 ? "x86_64" : "aarch64";
  json["vcpus"] = manifest.machine.vcpus.size();
  json["guest_clocks"] = manifest.origin.guest_clocks;
  Json& parts = json["parts"] = Json::array();
  for (const snapshot::Part& part : manifest.parts)
    parts.push_back({{"name", part.name}, {"size", part.size}});
  json["chain"] = chain_json(chain);
}

Result<Json> inspect(const std::string& text) {
  const auto location = HUSK_TRY(snapshot::Location::parse(text));
  const snapshot::Chain chain = HUSK_TRY(location.open_chain());
  std::vector<snapshot::StoreEntry> entries;
  for (const snapshot::SnapshotFile& link : chain.links()) {
    const std::string file = std::filesystem::path(link.path()).filename().string();
    entries.push_back(snapshot::read_entry(snapshot::name_of(file).value_or(file), link.path()));
  }
  snapshot::name_parents(entries);
  Json json = entry_json(entries.back());
  add_details(json, chain);
  return json;
}

void print_lines(const Json& json) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : json.items())
    rows.push_back({name, value.is_string() ? value.get<std::string>() : value.dump()});
  print_table(rows);
}

Result<void> run(const std::vector<std::string>& names, const std::string& format) {
  Json all = Json::array();
  for (const std::string& name : names) all.push_back(HUSK_TRY(inspect(name)));
  if (format == "json") {
    print_json(all);
  } else {
    for (const Json& one : all) print_lines(one);
  }
  return {};
}

}  // namespace

void add_snapshot_inspect(Verb& snapshot) {
  auto names = std::make_shared<std::vector<std::string>>();
  auto format = std::make_shared<std::string>("json");
  snapshot.verb("inspect", "All that snapshots say of themselves")
      .required("SNAPSHOT", *names, "Name or path")
      .format(*format)
      .run([=] { return finish(run(*names, *format)); });
}

}  // namespace husk::cli
