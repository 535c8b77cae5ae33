// husk restore: a container goes on from its snapshot, as if its command had been started here.
#include <unistd.h>

#include "base/try.h"
#include "cli/attend.h"
#include "cli/report.h"
#include "cli/verbs.h"
#include "runtime/hypervisor.h"

namespace husk::cli {
namespace {

struct RestoreFlags {
  std::string from, name, hostname, backend;
};

Result<int> restore(const RestoreFlags& flags) {
  runtime::RestoreOptions options{HUSK_TRY(snapshot::Location::parse(flags.from)), flags.name,
                                  flags.hostname, flags.backend};
  const TerminalSize size = terminal_size();
  options.rows = size.rows;
  options.columns = size.columns;
  block_forwarded_signals();
  Progress progress("restoring " + flags.from);
  const auto running = HUSK_TRY(runtime::Container::restore(options, outputs(progress)));
  const bool terminal = running->record().terminal && ::isatty(STDIN_FILENO) != 0;
  const auto exit = HUSK_TRY(attend(*running, {terminal, running->record().input}));
  progress.stop();
  if (!exit.reason.empty()) report(exit.reason);
  return exit.code;
}

}  // namespace

void add_restore(CLI::App& app, Action& chosen) {
  auto flags = std::make_shared<RestoreFlags>();
  auto* verb = app.add_subcommand("restore", "Go on from a snapshot of a container");
  verb->add_option("SNAPSHOT", flags->from, "Name or path")->required();
  verb->add_option("--name", flags->name, "Name of the machine");
  verb->add_option("--hostname", flags->hostname, "The guest's host name, in place of its old one");
  verb->add_option("--backend", flags->backend, "Other than the one that it was captured on")
      ->check(CLI::IsMember(runtime::backend_names()));
  verb->callback([flags, &chosen] {
    chosen = [flags] {
      const auto code = restore(*flags);
      return code ? *code : report(code.error());
    };
  });
}

}  // namespace husk::cli
