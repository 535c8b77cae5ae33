// husk: the verbs that there are.
#include <malloc.h>

#include "cli/command_line.h"
#include "cli/verbs.h"

namespace {

// mallopt(3). One heap for all threads, which allocate little: another one would be more memory
// that a machine has for itself alone, and grows by a system call for each page.
void use_one_heap() { ::mallopt(M_ARENA_MAX, 1); }

}  // namespace

int main(int argc, char** argv) {
  use_one_heap();
  return husk::cli::run_command_line(argc, argv, [](husk::cli::Verb husk) {
    using namespace husk::cli;  // NOLINT(google-build-using-namespace)
    add_run(husk);
    add_bake(husk);
    add_restore(husk);
    add_fork(husk);
    add_boot(husk);
    add_machines(husk);
    add_snapshot(husk);
    add_cache(husk);
    add_doctor(husk);
  });
}
