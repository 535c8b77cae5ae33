#include "cli/report.h"

#include <fmt/core.h>

#include "cli/exit_codes.h"

namespace husk::cli {

int report(std::string_view message) {
  fmt::print(stderr, "husk: {}\n", message);
  return kFailed;
}

int report(const Error& error) { return report(error.message()); }

int finish(const Result<void>& result) { return result ? 0 : report(result.error()); }
int finish(const Result<int>& code) { return code ? *code : report(code.error()); }

}  // namespace husk::cli
