// One line on stderr for what went wrong.
#pragma once

#include <string_view>

#include "husk/error.h"

namespace husk::cli {

// "husk: MESSAGE"; returns kFailed.
int report(const Error& error);
int report(std::string_view message);

// The exit code of what a verb came to; an error is reported.
[[nodiscard]] int finish(const Result<void>& result);
[[nodiscard]] int finish(const Result<int>& code);

}  // namespace husk::cli
