// A file as it is now, for names of what is derived from it.
#pragma once

#include <string>

#include "husk/error.h"

namespace husk::runtime {

// Another file, or a change of this one, has another text. An error names the path.
[[nodiscard]] Result<std::string> file_identity(const std::string& path);
// Of the program that runs.
[[nodiscard]] Result<std::string> program_identity();

}  // namespace husk::runtime
