// husk doctor: which backends this host can use, which processors they can show guests, and why
// not the others.
#include <fmt/core.h>

#include "cli/verbs.h"
#include "runtime/backend.h"

namespace husk::cli {
namespace {

// One line for each model that guests can be shown, or why they cannot.
void print_models(const runtime::Backend& backend) {
  for (const CpuModel model : cpu_models(host::native_arch())) {
    const auto shown = backend.can_show(model);
    fmt::print("      --cpu {:9}  {}\n", name(model), shown ? "yes" : shown.error().message());
  }
}

int doctor() {
  bool chosen = false;
  for (const runtime::Backend* backend : runtime::backends()) {
    const auto probed = backend->probe();
    const char* verdict = !probed ? "not usable" : chosen ? "usable" : "usable, auto";
    chosen = chosen || probed.has_value();
    fmt::print("{:5} {:13} {}\n", backend->name, verdict,
               probed ? *probed : probed.error().message());
    print_models(*backend);
  }
  return 0;
}

}  // namespace

void add_doctor(Verb& husk) {
  husk.verb("doctor", "Say which backends this host can use, and why not").run(doctor);
}

}  // namespace husk::cli
