// husk snapshot: the verbs below it.
#include "cli/snapshot/verbs.h"

namespace husk::cli {

void add_snapshot(Verb& husk) {
  Verb snapshot = husk.verb("snapshot", "Snapshots of machines: names in the store, or paths");
  add_snapshot_create(snapshot);
  add_snapshot_ls(snapshot);
  add_snapshot_tree(snapshot);
  add_snapshot_inspect(snapshot);
  add_snapshot_verify(snapshot);
  add_snapshot_flatten(snapshot);
  add_snapshot_rm(snapshot);
}

}  // namespace husk::cli
