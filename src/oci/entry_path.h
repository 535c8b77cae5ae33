// Names as a tar writes them, turned into paths inside an image's root.
#pragma once

#include <string>
#include <string_view>

#include "husk/error.h"

namespace husk::oci {

// "./a//b/../c/" becomes "a/c"; leading slashes are dropped, as Docker does; the root itself is "".
// An empty name, a ".." that would leave the root, a component above kMaxNameLength and a path
// above kMaxPathLength are errors whose subject is the name.
[[nodiscard]] Result<std::string> clean_entry_path(std::string_view name);

// A name for a message: control characters replaced, long ones cut.
[[nodiscard]] std::string printable(std::string_view name);

// The last component, and what precedes it ("" for none).
[[nodiscard]] std::string_view base_name(std::string_view path);
[[nodiscard]] std::string_view parent_path(std::string_view path);

}  // namespace husk::oci
