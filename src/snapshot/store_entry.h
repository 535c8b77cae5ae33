// Names, entries and parentage in a store, apart from its locks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "snapshot/store.h"

namespace husk::snapshot {

[[nodiscard]] bool is_snapshot_name(std::string_view name);
[[nodiscard]] std::string file_of(std::string_view name);
// The snapshot that a file of the store holds by its name; nothing for other files.
[[nodiscard]] std::optional<std::string> name_of(std::string_view file);

[[nodiscard]] StoreEntry read_entry(const std::string& name, const std::string& path);
// Finds each one's parent by id: the one whose file it names, where several are the same.
void name_parents(std::vector<StoreEntry>& entries);
[[nodiscard]] std::vector<TreeEntry> as_tree(const std::vector<StoreEntry>& entries);

}  // namespace husk::snapshot
