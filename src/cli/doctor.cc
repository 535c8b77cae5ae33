// husk doctor: which backends this host can use, and why not the others.
#include <fmt/core.h>

#include "cli/verbs.h"
#include "runtime/backend.h"

namespace husk::cli {
namespace {

int doctor() {
  bool chosen = false;
  for (const runtime::Backend* backend : runtime::backends()) {
    const auto probed = backend->probe();
    const char* verdict = !probed ? "not usable" : chosen ? "usable" : "usable, auto";
    chosen = chosen || probed.has_value();
    fmt::print("{:5} {:13} {}\n", backend->name, verdict,
               probed ? *probed : probed.error().message());
  }
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& chosen) {
  auto* verb = app.add_subcommand("doctor", "Say which backends this host can use, and why not");
  verb->callback([&chosen] { chosen = doctor; });
}

}  // namespace husk::cli
