#include "cli/report.h"

#include <fmt/core.h>

#include "cli/exit_codes.h"

namespace husk::cli {

int report(std::string_view message) {
  fmt::print(stderr, "husk: {}\n", message);
  return kFailed;
}

int report(const Error& error) { return report(error.message()); }

}  // namespace husk::cli
