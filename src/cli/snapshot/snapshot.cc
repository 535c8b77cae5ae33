// husk snapshot: what the verbs below it share.
#include "cli/report.h"
#include "cli/snapshot/verbs.h"

namespace husk::cli {

void add_snapshot(CLI::App& app, Action& chosen) {
  auto* verb =
      app.add_subcommand("snapshot", "Snapshots of machines: names in the store, or paths");
  verb->require_subcommand(1);
  add_snapshot_create(*verb, chosen);
  add_snapshot_ls(*verb, chosen);
  add_snapshot_tree(*verb, chosen);
  add_snapshot_inspect(*verb, chosen);
  add_snapshot_verify(*verb, chosen);
  add_snapshot_flatten(*verb, chosen);
  add_snapshot_rm(*verb, chosen);
}

void add_format(CLI::App& verb, std::string& format) {
  verb.add_option("--format", format, "json or table")
      ->check(CLI::IsMember({"json", "table"}))
      ->capture_default_str();
}

int finish(const Result<void>& result) { return result ? 0 : report(result.error()); }

}  // namespace husk::cli
