// The verbs below `husk snapshot`, a file each.
#pragma once

#include "cli/verbs.h"

namespace husk::cli {

void add_snapshot_create(Verb& snapshot);
void add_snapshot_ls(Verb& snapshot);
void add_snapshot_tree(Verb& snapshot);
void add_snapshot_inspect(Verb& snapshot);
void add_snapshot_rm(Verb& snapshot);
void add_snapshot_flatten(Verb& snapshot);
void add_snapshot_verify(Verb& snapshot);

}  // namespace husk::cli
