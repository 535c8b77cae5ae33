// husk run: a command of an image in a machine of its own, as `docker run` would.
#include <unistd.h>

#include <filesystem>

#include "base/try.h"
#include "cli/attend.h"
#include "cli/command_options.h"
#include "cli/cpu_flag.h"
#include "cli/host.h"
#include "cli/machine_options.h"
#include "cli/report.h"
#include "cli/size.h"
#include "cli/verbs.h"
#include "runtime/container.h"
#include "runtime/hypervisor.h"

namespace husk::cli {
namespace {

constexpr uint64_t kLeastMemory = uint64_t{96} << 20;

struct RunOptions {
  runtime::ContainerOptions container;
  std::string memory = "512M";
  std::string cpu_model{name(CpuModel::kHost)};
  std::string cpu_mode;
  std::string entrypoint;
  CLI::Option* entrypoint_given = nullptr;
  std::vector<std::string> words;  // the image and the command
  bool detach = false, remove = false;
};

// What the flags mean together, and what they leave to the environment.
Result<void> resolve(RunOptions& options) {
  runtime::ContainerOptions& container = options.container;
  container.memory_bytes = HUSK_TRY(parse_memory(options.memory, kLeastMemory));
  if (container.vcpus < 1 || container.vcpus > 64)
    return fail(ErrorKind::kInvalidArgument, "--cpus", "must be 1 to 64");
  container.cpu_model = HUSK_TRY(parse_cpu_flag(options.cpu_model));
  HUSK_TRY(apply_cpu_mode(options.cpu_mode));
  if (options.entrypoint_given->count() != 0) container.entrypoint = options.entrypoint;
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
  record.cpu_model = options.cpu_model;
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

void add_run(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<RunOptions>();
  auto* verb = app.add_subcommand("run", "Run a command of an image in a machine of its own");
  auto& container = options->container;
  verb->add_option("--memory,-m", options->memory, "Memory, such as 512M")->capture_default_str();
  verb->add_option("--cpus", container.vcpus, "Number of vCPUs")->capture_default_str();
  add_cpu_flag(*verb, options->cpu_model);
  add_cpu_mode_flag(*verb, options->cpu_mode);
  add_command_flags(*verb, container, options->detach);
  options->entrypoint_given =
      verb->add_option("--entrypoint", options->entrypoint, "Replace the image's entry point");
  verb->add_option("--kernel", container.kernel, "Guest kernel instead of the default one");
  verb->add_option("--vsock", container.vsock, "Socket that leads to the guest's vsock ports");
  verb->add_flag("--cold", container.cold, "Boot the kernel in place of restoring a booted one");
  verb->add_option("--backend", container.backend, "What runs the machine")
      ->check(CLI::IsMember(runtime::backend_names()));
  add_kernel_irqchip(*verb, container.kernel_irqchip);
  verb->add_option("--name", container.name, "Name of the machine");
  verb->add_flag("--rm", options->remove, "Remove the machine when it ends (always so without -d)");
  verb->callback([verb, options, &chosen] {
    options->words = words_of(*verb);
    chosen = [options] {
      if (options->words.empty()) return report("run: no image given");
      if (options->words.front().starts_with("-"))
        return report("run: unknown flag " + options->words.front());
      return run(*options);
    };
  });
}

}  // namespace husk::cli
