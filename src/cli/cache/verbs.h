// The verbs below `husk cache`, a file each.
#pragma once

#include "cli/verbs.h"

namespace husk::cli {

void add_cache_ls(Verb& cache);
void add_cache_prune(Verb& cache);

}  // namespace husk::cli
