// husk snapshot rm: takes snapshots out of the store.
#include <fmt/core.h>

#include "base/try.h"
#include "cli/report.h"
#include "cli/snapshot/verbs.h"
#include "snapshot/location.h"

namespace husk::cli {
namespace {

Result<void> run(const std::vector<std::string>& names, bool force) {
  const snapshot::Store store = HUSK_TRY(snapshot::open_default_store());
  for (const std::string& name : names) {
    HUSK_TRY(store.remove(name, force));
    fmt::print("{}\n", name);
  }
  HUSK_TRY(store.prune());
  return {};
}

}  // namespace

void add_snapshot_rm(Verb& snapshot) {
  auto names = std::make_shared<std::vector<std::string>>();
  auto force = std::make_shared<bool>(false);
  snapshot.verb("rm", "Remove snapshots from the store")
      .required("NAME", *names, "As `husk snapshot ls` names it")
      .flag("-f,--force", *force, "Also where others build on it, which are lost then")
      .run([=] { return finish(run(*names, *force)); });
}

}  // namespace husk::cli
