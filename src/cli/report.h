// One line on stderr for what went wrong.
#pragma once

#include <string_view>

#include "husk/error.h"

namespace husk::cli {

// "husk: MESSAGE"; returns kFailed.
int report(const Error& error);
int report(std::string_view message);

}  // namespace husk::cli
