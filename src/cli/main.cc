// husk: parse the command line, hand over to a verb.
#include <fmt/core.h>
#include <malloc.h>

#include "base/log.h"
#include "cli/exit_codes.h"
#include "cli/report.h"
#include "cli/verbs.h"

namespace {

// mallopt(3). One heap for all threads, which allocate little: another one would be more memory
// that a machine has for itself alone, and grows by a system call for each page.
void use_one_heap() { ::mallopt(M_ARENA_MAX, 1); }

}  // namespace

int main(int argc, char** argv) {
  using namespace husk;  // NOLINT(google-build-using-namespace)
  use_one_heap();
  CLI::App app("Runs OCI images and kernels as microVMs.", "husk");
  app.require_subcommand(1);
  app.set_version_flag("--version", "husk 0.1.0");
  app.add_flag_callback(
      "--debug", [] { base::set_log_level(base::LogLevel::kDebug); },
      "Say more about what happens");
  cli::Action chosen;
  cli::add_run(app, chosen);
  cli::add_restore(app, chosen);
  cli::add_fork(app, chosen);
  cli::add_boot(app, chosen);
  cli::add_machines(app, chosen);
  cli::add_snapshot(app, chosen);
  cli::add_doctor(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return cli::report(error.what());
  }
  return chosen();
}
