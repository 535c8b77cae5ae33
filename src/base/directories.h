// Directories that Husk keeps things in: where the environment says they are, and making them.
#pragma once

#include <string>

#include "husk/error.h"

namespace husk::base {

// The variable's value; empty where it is not set.
[[nodiscard]] std::string environment(const char* name);

// The first of: the variable `own` ("HUSK_CACHE"), `xdg`/husk if that variable ("XDG_CACHE_HOME")
// holds an absolute path, $HOME/`below_home`/husk. kNotFound, about `role`: none of them is set.
[[nodiscard]] Result<std::string> default_directory(const std::string& role, const char* own,
                                                    const char* xdg, const char* below_home);

// mkdir -p, with mode 0700 for what is made.
[[nodiscard]] Result<void> make_directories(const std::string& path, const std::string& role);

}  // namespace husk::base
