// husk snapshot create: a snapshot of a machine that runs and goes on running.
#include <fmt/core.h>

#include "base/log.h"
#include "base/try.h"
#include "cli/machines/each.h"
#include "cli/report.h"
#include "cli/snapshot/entry_json.h"
#include "cli/snapshot/serve.h"
#include "cli/snapshot/verbs.h"
#include "control/client.h"
#include "registry/registry.h"
#include "snapshot/location.h"

namespace husk::cli {
namespace {

struct CreateOptions {
  std::string machine, to;
  std::string format = "table";
  bool diff = false, live = false, compress = false;
};

Result<void> run(const CreateOptions& options) {
  const auto to = HUSK_TRY(snapshot::Location::parse(options.to));
  const auto known = HUSK_TRY(registry::Registry::open_default());
  const registry::Machine machine = HUSK_TRY(known.find(options.machine));
  HUSK_TRY(machines::check_running(machine.record));
  // The other process may be in another directory, and have another store.
  const bool is_name = options.to.find('/') == std::string::npos;
  const api::Json request{{"verb", kSnapshotVerb},
                          {"to", is_name ? options.to : to.path()},
                          {"store", is_name ? to.directory() : ""},
                          {"diff", options.diff},
                          {"live", options.live},
                          {"compress", options.compress}};
  api::Json answer = HUSK_TRY(control::ask(machine.folder.at(registry::kControlSocket), request,
                                           machines::label(machine.record), std::nullopt));
  answer.erase("ok");
  if (options.format == "json") {
    print_json(answer);
  } else {
    fmt::print("{}\n", answer.value("id", ""));
  }
  base::log(base::LogLevel::kDebug, "paused for {} ms at most", answer.value("paused_ms", 0.0));
  return {};
}

}  // namespace

void add_snapshot_create(Verb& snapshot) {
  auto options = std::make_shared<CreateOptions>();
  snapshot.verb("create", "Capture a machine that runs; prints the id")
      .required("MACHINE", options->machine, "Its name or id")
      .required("NEW", options->to, "Name or path of the snapshot")
      .flag("--diff", options->diff, "Only what was written since its last snapshot")
      .flag("--live", options->live, "Copy memory while it runs, and pause for a moment only")
      .flag("--compress", options->compress, "With zstd: smaller, slower to restore")
      .format(options->format)
      .run([options] { return finish(run(*options)); });
}

}  // namespace husk::cli
