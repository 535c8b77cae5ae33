// husk restore: a container goes on from its snapshot, as if its command had been started here.
#include "base/try.h"
#include "cli/attend.h"
#include "cli/host.h"
#include "cli/report.h"
#include "cli/verbs.h"
#include "runtime/guest_names.h"
#include "runtime/hypervisor.h"

namespace husk::cli {
namespace {

struct RestoreFlags {
  std::string from, name, hostname, machine_id, backend;
  bool detach = false, remove = false;
};

// As far as the snapshot's head tells; all of it is looked at when the machine is made.
Result<registry::Record> record_of(const RestoreFlags& flags, const snapshot::Location& from) {
  const snapshot::Chain chain = HUSK_TRY(from.open_chain());
  const auto was = HUSK_TRY(runtime::get_record(chain.tip().contents(), flags.from));
  registry::Record record;
  record.name = flags.name;
  record.image = was.image;
  record.backend = flags.backend.empty() ? was.backend : flags.backend;
  record.cpu_model = name(was.config.cpu_model);
  record.kernel = was.config.kernel.string();
  record.memory_mb = was.config.memory_mb;
  record.cpus = was.config.cpus;
  record.detached = flags.detach;
  record.remove = flags.remove || !flags.detach;
  return record;
}

Result<int> restore(const RestoreFlags& flags) {
  runtime::RestoreOptions options{HUSK_TRY(snapshot::Location::parse(flags.from))};
  HUSK_TRY(runtime::check_hostname(flags.hostname));
  options.machine_id = HUSK_TRY(runtime::resolve_machine_id(flags.machine_id));
  const registry::Record record = HUSK_TRY(record_of(flags, options.from));
  options.hostname = flags.hostname;
  options.backend = flags.backend;
  const TerminalSize size = flags.detach ? TerminalSize{} : terminal_size();
  options.rows = size.rows;
  options.columns = size.columns;
  const auto start = [&](const HostedMachine& hosted, runtime::ContainerOutput output) {
    options.name = hosted.name();
    options.vsock = hosted.path_of(registry::kVsockSocket);
    return runtime::Container::restore(options, std::move(output));
  };
  return host({record, "restoring " + flags.from, start});
}

}  // namespace

void add_restore(Verb& husk) {
  auto flags = std::make_shared<RestoreFlags>();
  husk.verb("restore", "Go on from a snapshot of a container")
      .required("SNAPSHOT", flags->from, "Name or path")
      .option("--name", flags->name, "Name of the machine")
      .option("--hostname", flags->hostname, "The guest's host name, in place of its old one")
      .option("--machine-id", flags->machine_id, "The same for its /etc/machine-id: ID, or new")
      .choice("--backend", flags->backend, runtime::backend_names(),
              "Other than the one that it was captured on")
      .flag("-d,--detach", flags->detach, "Print the machine's id and leave it running")
      .flag("--rm", flags->remove, "Remove the machine when it ends (always so without -d)")
      .run([flags] { return finish(restore(*flags)); });
}

}  // namespace husk::cli
