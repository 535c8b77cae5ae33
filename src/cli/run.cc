// husk run: a command of an image in a machine of its own, as `docker run` would.
#include <unistd.h>

#include <filesystem>

#include "base/try.h"
#include "cli/attend.h"
#include "cli/command_options.h"
#include "cli/container_flags.h"
#include "cli/host.h"
#include "cli/machine_flags.h"
#include "cli/report.h"
#include "cli/verbs.h"
#include "runtime/container.h"
#include "runtime/guest_names.h"

namespace husk::cli {
namespace {

struct RunOptions {
  runtime::ContainerOptions container;
  MachineFlags machine;
  std::vector<std::string> words;  // the image and the command
  bool detach = false, remove = false, no_bake = false;
};

// What the flags mean together, and what they leave to the environment.
Result<void> resolve(RunOptions& options) {
  runtime::ContainerOptions& container = options.container;
  HUSK_TRY(apply(options.machine, container));
  container.baked = !options.no_bake;
  HUSK_TRY(runtime::check_hostname(container.hostname));
  container.machine_id = HUSK_TRY(runtime::resolve_machine_id(container.machine_id));
  container.image = options.words.front();
  container.command.assign(options.words.begin() + 1, options.words.end());
  if (!container.vsock.empty()) container.vsock = std::filesystem::absolute(container.vsock);
  return complete_command(container, options.detach);
}

// What the registry is told before there is a machine.
registry::Record record_of(const RunOptions& options) {
  const runtime::ContainerOptions& container = options.container;
  registry::Record record;
  record.name = container.name;
  record.image = container.image;
  record.command = container.command;
  record.backend = container.backend;
  record.cpu_model = options.machine.cpu_model;
  record.kernel = container.kernel;
  record.vsock = container.vsock;
  record.memory_mb = container.memory_bytes >> 20;
  record.cpus = container.vcpus;
  record.detached = options.detach;
  record.remove = options.remove || !options.detach;
  return record;
}

int run(RunOptions& options) {
  if (const auto resolved = resolve(options); !resolved) return report(resolved.error());
  const auto start = [&](const HostedMachine& hosted, runtime::ContainerOutput output) {
    options.container.name = hosted.name();
    if (options.container.vsock.empty())
      options.container.vsock = hosted.path_of(registry::kVsockSocket);
    return runtime::Container::start(options.container, std::move(output));
  };
  return host({record_of(options), "preparing " + options.container.image, start});
}

}  // namespace

void add_run(Verb& husk) {
  auto options = std::make_shared<RunOptions>();
  Verb verb = husk.verb("run", "Run a command of an image in a machine of its own");
  auto& container = options->container;
  add_machine_flags(verb, options->machine);
  add_command_flags(verb, container, options->detach);
  verb.option("--entrypoint", container.entrypoint, "Replace the image's entry point")
      .option("--kernel", container.kernel, "Guest kernel instead of the default one")
      .option("--vsock", container.vsock, "Socket that leads to the guest's vsock ports")
      .flag("--cold", container.cold, "Boot the kernel in place of restoring a booted one")
      .flag("--no-bake", options->no_bake, "Do not go on from what `husk bake` made")
      .option("--name", container.name, "Name of the machine")
      .option("--hostname", container.hostname, "The guest's host name, in place of that name")
      .option("--machine-id", container.machine_id, "What its /etc/machine-id says: ID, or new")
      .flag("--rm", options->remove, "Remove the machine when it ends (always so without -d)")
      .words(options->words);
  verb.run([options] {
    if (options->words.empty()) return report("run: no image given");
    if (options->words.front().starts_with("-"))
      return report("run: unknown flag " + options->words.front());
    return run(*options);
  });
}

}  // namespace husk::cli
