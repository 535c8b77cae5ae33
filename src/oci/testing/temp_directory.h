// For tests: base's temporary directories, under this room's name for its test helpers.
#pragma once

#include "base/testing/temp_directory.h"

namespace husk::oci::testing {

using base::testing::listed;
using base::testing::read_whole_file;
using base::testing::TempDirectory;
using base::testing::write_file;

}  // namespace husk::oci::testing
