// The verbs: each describes itself, and what it does, to the command line.
#pragma once

#include "cli/command_line.h"

namespace husk::cli {

void add_run(Verb& husk);
void add_bake(Verb& husk);
void add_restore(Verb& husk);
void add_fork(Verb& husk);
void add_boot(Verb& husk);
void add_machines(Verb& husk);  // ps, logs, stop, ...
void add_snapshot(Verb& husk);
void add_cache(Verb& husk);
void add_doctor(Verb& husk);

}  // namespace husk::cli
