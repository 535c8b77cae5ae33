// A kernel or initrd file as bytes: mapped read-only, taken from the page cache as it is read.
#pragma once

#include <string>

#include "husk/error.h"

#include "base/fd.h"

namespace husk::boot {

// The whole file; `role` ("kernel", "initrd") goes into errors. An empty file and what is not a
// regular file are refused. Who shortens the file while it is mapped kills the process: a copy is
// the caller's choice.
[[nodiscard]] Result<base::Mapping> map_file(const std::string& path, const std::string& role);

}  // namespace husk::boot
