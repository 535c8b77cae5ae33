// A snapshot of the store as JSON: what ls, tree and inspect print.
#pragma once

#include <nlohmann/json.hpp>

#include "snapshot/store.h"

namespace husk::cli {

[[nodiscard]] nlohmann::ordered_json entry_json(const snapshot::StoreEntry& entry);
// What it is built of: a name of the manifest that is not UTF-8 is printed nevertheless.
void print_json(const nlohmann::ordered_json& json);

}  // namespace husk::cli
