// husk run: a command of an image in a machine of its own, as `docker run` would.
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "base/log.h"
#include "base/try.h"
#include "cli/attend.h"
#include "cli/command_options.h"
#include "cli/cpu_flag.h"
#include "cli/detach.h"
#include "cli/exit_codes.h"
#include "cli/hosted_machine.h"
#include "cli/machine_options.h"
#include "cli/progress.h"
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

// Where the command's output goes: to who started it, or into the machine's folder. The progress
// line leaves before the first byte of it.
runtime::ContainerOutput outputs(Progress& progress, HostedMachine& hosted, bool detach) {
  runtime::ContainerOutput output;
  const auto sink = [&, detach](registry::Stream stream, int fd) {
    return [&, detach, stream, fd](std::string_view text) {
      progress.stop();
      if (detach) return hosted.keep(stream, text);
      write_all(fd, text);
    };
  };
  output.out = sink(registry::Stream::kOut, STDOUT_FILENO);
  output.err = sink(registry::Stream::kError, STDERR_FILENO);
  output.serial = [](std::string_view line) {
    base::log(base::LogLevel::kDebug, "serial: {}", line);
  };
  output.state = [&progress](const lifecycle::VmState& state) {
    if (state.kind() == lifecycle::VmState::Kind::kStarting) progress.now("starting the machine");
    if (state.is_ready()) progress.stop();
    base::log(base::LogLevel::kDebug, "state: {}", state.to_string());
  };
  return output;
}

// Lets the process that was started go, once the command runs and its machine can be asked. Where
// neither is the matter, for a machine in the foreground, it does nothing.
class Departure {
 public:
  explicit Departure(Launch* launch) : launch_(launch) {}

  // The first call does nothing, and there may be no container yet. Any thread.
  void one_of_two(const HostedMachine& hosted, Progress& progress,
                  const std::unique_ptr<runtime::Container>& container) {
    if (launch_ == nullptr || ++arrived_ != 2) return;
    progress.stop();
    done_ = launch_->succeeded(hosted.id() + "\n", hosted.path_of(registry::kMessagesFile));
    if (!done_) container->kill();
  }
  [[nodiscard]] bool done() const { return launch_ == nullptr || done_; }

 private:
  Launch* launch_;
  std::atomic<int> arrived_{0};
  std::atomic<bool> done_{false};
};

// From nothing to the machine's end; `launch` is there for a detached machine.
Result<int> host_machine(RunOptions& options, Launch* launch) {
  block_forwarded_signals();
  Progress progress("preparing " + options.container.image);
  const auto hosted = HUSK_TRY(HostedMachine::create(record_of(options)));
  options.container.name = hosted->name();
  if (options.container.vsock.empty())
    options.container.vsock = hosted->path_of(registry::kVsockSocket);
  Departure departure(launch);
  std::unique_ptr<runtime::Container> running;
  auto output = outputs(progress, *hosted, options.detach);
  output.started = [&] { departure.one_of_two(*hosted, progress, running); };
  running = HUSK_TRY(runtime::Container::start(options.container, std::move(output)));
  HUSK_TRY(hosted->started(*running));
  if (launch != nullptr) launch->outlive();
  departure.one_of_two(*hosted, progress, running);
  const auto exit = attend(*running, {.input = !options.detach && options.container.input,
                                      .terminal = !options.detach && options.container.terminal});
  if (!departure.done()) hosted->forget();
  hosted->ended(exit);
  progress.stop();
  if (!exit) return std::unexpected(exit.error());
  if (!exit->reason.empty()) report(exit->reason);
  return exit->code;
}

int run(RunOptions& options) {
  const auto host = [&options](Launch* launch) {
    const auto code = host_machine(options, launch);
    return code ? *code : report(code.error());
  };
  if (const auto resolved = resolve(options); !resolved) return report(resolved.error());
  if (options.detach) return detached([&](Launch& launch) { return host(&launch); });
  return host(nullptr);
}

}  // namespace

void add_run(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<RunOptions>();
  auto* verb = app.add_subcommand("run", "Run a command of an image in a machine of its own");
  auto& container = options->container;
  verb->add_option("--memory,-m", options->memory, "Memory, such as 512M")->capture_default_str();
  verb->add_option("--cpus", container.vcpus, "Number of vCPUs")->capture_default_str();
  add_cpu_flag(*verb, options->cpu_model);
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
