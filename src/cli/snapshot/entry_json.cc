#include "cli/snapshot/entry_json.h"

#include <fmt/core.h>

#include "cli/table.h"

namespace husk::cli {

using Json = nlohmann::ordered_json;

Json entry_json(const snapshot::StoreEntry& entry) {
  Json json{{"name", entry.name}};
  if (entry.wrong) {
    json["wrong"] = *entry.wrong;
  } else {
    json["id"] = entry.id;
    json["parent_id"] = entry.parent_id ? Json(*entry.parent_id) : Json();
    json["parent"] = entry.parent ? Json(*entry.parent) : Json();
    json["created"] = time_text(entry.origin.realtime_ns);
    json["backend"] = entry.origin.backend;
    json["cpu_model"] = entry.origin.cpu_model;
    json["memory_size"] = entry.memory_size;
    json["compressed"] = entry.compressed;
    json["identity"] = entry.origin.identity;
  }
  json["file_size"] = entry.file_size;
  json["disk_size"] = entry.disk_size;
  return json;
}

void print_json(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace husk::cli
