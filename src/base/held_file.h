// Files that several processes share and somebody may want to remove: who uses one holds it, and
// what is held stays. The kernel lets go for a process that dies.
#pragma once

#include <string>

#include "husk/error.h"

#include "base/fd.h"

namespace husk::base {

// Opens the file for reading and holds it: it keeps its name as long as the descriptor, or a
// mapping made with it, is there. kNotFound where there is none, or none any more. `role` as in
// open_file.
[[nodiscard]] Result<Fd> hold_file(const std::string& path, const std::string& role);
// Holds what is open already, and under construction: it is held before it has its name.
[[nodiscard]] Result<void> hold(int fd, const std::string& path);

// Somebody holds it. Of what cannot be opened nobody knows: false.
[[nodiscard]] bool is_held(const std::string& path);
// Takes the name away unless somebody holds the file, which is false, as for one that is gone.
[[nodiscard]] Result<bool> remove_unheld(const std::string& path);

// It was used now: its time of modification says so.
void mark_used(const std::string& path);

}  // namespace husk::base
