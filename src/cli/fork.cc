// husk fork: machines that go on from where a running one is, each in a process of its own. They
// share its memory as it was until they write to it: it is captured once, to a file that is memory
// itself and has no name any more when they run.
#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <thread>

#include "base/try.h"
#include "cli/exit_codes.h"
#include "cli/host.h"
#include "cli/machines/each.h"
#include "cli/report.h"
#include "cli/shared_capture.h"
#include "cli/verbs.h"
#include "registry/registry.h"
#include "runtime/guest_names.h"
#include "runtime/rehearsal.h"

namespace husk::cli {
namespace {

constexpr unsigned kMostForks = 10'000;
constexpr unsigned kWorthRehearsing = 6;  // a rehearsal costs what it spares this many

struct ForkFlags {
  std::string machine, name;
  unsigned count = 1;
  bool live = false, remove = false, machine_id = false;
};

registry::Record record_of(const registry::Record& parent, const ForkFlags& flags, unsigned index) {
  registry::Record record;
  record.image = parent.image;
  record.command = parent.command;
  record.backend = parent.backend;
  record.cpu_model = parent.cpu_model;
  record.kernel = parent.kernel;
  record.memory_mb = parent.memory_mb;
  record.cpus = parent.cpus;
  record.detached = true;
  record.remove = flags.remove;
  if (!flags.name.empty())
    record.name = flags.count == 1 ? flags.name : fmt::format("{}-{}", flags.name, index + 1);
  return record;
}

Hosting hosting(const registry::Record& record, const runtime::RestoreOptions& base) {
  const auto start = [base](const HostedMachine& hosted, runtime::ContainerOutput output) {
    runtime::RestoreOptions options = base;
    options.name = options.hostname = hosted.name();
    options.vsock = hosted.path_of(registry::kVsockSocket);
    return runtime::Container::restore(options, std::move(output));
  };
  std::vector<int> files;
  for (const snapshot::SnapshotFile& link : base.chain->links()) files.push_back(link.fd());
  return {record, "forking", start, files};
}

// What all of them have in common, found out once: they are made by fork(2) and share it.
Result<runtime::RestoreOptions> prepare(const ForkFlags& flags, const SharedCapture& capture) {
  runtime::RestoreOptions options{.from = HUSK_TRY(snapshot::Location::parse(capture.path()))};
  options.chain = std::make_shared<const snapshot::Chain>(HUSK_TRY(options.from.open_chain()));
  options.name = "rehearsal";
  options.transient = true;
  if (flags.machine_id) options.machine_id = runtime::kNewMachineId;
  if (flags.count >= kWorthRehearsing) HUSK_TRY(runtime::rehearse(options));
  return options;
}

// More are being made at once than there are processors: each waits for the disk now and then.
// Returns, in every process, its exit code.
int make_forks(const ForkFlags& flags, const registry::Record& parent,
               const runtime::RestoreOptions& base) {
  const size_t at_once = 2 * std::max(1U, std::thread::hardware_concurrency());
  std::deque<Detached> coming;
  int worst = 0;
  const auto attend = [&] {
    worst = std::max(worst, coming.front().attend());
    coming.pop_front();
  };
  for (unsigned i = 0; i < flags.count && worst == 0; ++i) {
    auto made = host_detached(hosting(record_of(parent, flags, i), base));
    if (const int* code = std::get_if<int>(&made)) return *code;
    coming.push_back(std::get<Detached>(std::move(made)));
    if (coming.size() == at_once) attend();
  }
  while (!coming.empty()) attend();
  return worst;
}

Result<int> fork(const ForkFlags& flags) {
  if (flags.count < 1 || flags.count > kMostForks)
    return fail(ErrorKind::kInvalidArgument, "-n", fmt::format("must be 1 to {}", kMostForks));
  const auto known = HUSK_TRY(registry::Registry::open_default());
  const registry::Machine machine = HUSK_TRY(known.find(flags.machine));
  HUSK_TRY(machines::check_running(machine.record));
  const auto capture = HUSK_TRY(SharedCapture::of(machine, flags.live));
  return make_forks(flags, machine.record, HUSK_TRY(prepare(flags, capture)));
}

}  // namespace

void add_fork(Verb& husk) {
  auto flags = std::make_shared<ForkFlags>();
  husk.verb("fork", "Make machines that go on from where one is")
      .required("MACHINE", flags->machine, "Its name or id")
      .option("-n,--count", flags->count, "How many")
      .option("--name", flags->name, "Name of the new machine; -1, -2, ... added to several")
      .flag("--live", flags->live, "Copy memory while the machine runs, for a shorter pause")
      .flag("--machine-id", flags->machine_id, "Give each an /etc/machine-id of its own")
      .flag("--rm", flags->remove, "Remove the new machines when they end")
      .run([flags] { return finish(fork(*flags)); });
}

}  // namespace husk::cli
