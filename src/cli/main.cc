// husk: the verbs that there are.
#include "cli/command_line.h"
#include "cli/verbs.h"

int main(int argc, char** argv) {
  return husk::cli::run_command_line(argc, argv, [](husk::cli::Verb husk) {
    using namespace husk::cli;  // NOLINT(google-build-using-namespace)
    add_run(husk);
    add_restore(husk);
    add_fork(husk);
    add_boot(husk);
    add_machines(husk);
    add_snapshot(husk);
    add_doctor(husk);
  });
}
