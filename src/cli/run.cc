// husk run: a command of an image in a machine of its own, as `docker run` would.
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/log.h"
#include "base/try.h"
#include "cli/cpu_flag.h"
#include "cli/exit_codes.h"
#include "cli/machine_options.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/size.h"
#include "cli/terminal.h"
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
  bool remove = false;
};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

// Takes the process's signals on a thread of its own and passes them on to the command; the
// terminal's size too.
class SignalForwarder {
 public:
  static void block() {
    const sigset_t set = forwarded();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
  }
  explicit SignalForwarder(runtime::Container& container)
      : container_(container), thread_([this] { run(); }) {}
  ~SignalForwarder() {
    stopping_ = true;
    ::pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
  }
  SignalForwarder(const SignalForwarder&) = delete;
  SignalForwarder& operator=(const SignalForwarder&) = delete;

 private:
  static sigset_t forwarded() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH})
      sigaddset(&set, signal);
    return set;
  }
  void run() {
    const sigset_t set = forwarded();
    for (int signal = 0; ::sigwait(&set, &signal) == 0 && !stopping_;) {
      if (signal == SIGWINCH) {
        winsize size{};
        if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
          container_.resize(size.ws_row, size.ws_col);
      } else {
        container_.send_signal(signal);
      }
    }
  }
  runtime::Container& container_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// What the flags mean together, and what they leave to the environment.
Result<void> resolve(RunOptions& options) {
  runtime::ContainerOptions& container = options.container;
  container.memory_bytes = HUSK_TRY(parse_memory(options.memory, kLeastMemory));
  if (container.vcpus < 1 || container.vcpus > 64)
    return fail(ErrorKind::kInvalidArgument, "--cpus", "must be 1 to 64");
  container.cpu_model = HUSK_TRY(parse_cpu_flag(options.cpu_model));
  HUSK_TRY(apply_cpu_mode(options.cpu_mode));
  if (container.terminal && ::isatty(STDIN_FILENO) == 0)
    return fail(ErrorKind::kInvalidArgument, "-t", "standard input is not a terminal");
  if (options.entrypoint_given->count() != 0) container.entrypoint = options.entrypoint;
  container.image = options.words.front();
  container.command.assign(options.words.begin() + 1, options.words.end());
  for (std::string& entry : container.environment) {
    if (entry.find('=') != std::string::npos) continue;
    const char* value =
        std::getenv(entry.c_str());  // as Docker: a name alone passes the host's value on
    entry += std::string("=") + (value == nullptr ? "" : value);
  }
  winsize size{};
  if (container.terminal && ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
    container.rows = size.ws_row;
    container.columns = size.ws_col;
  }
  return {};
}

// Where the command's output goes. The progress line leaves before the first byte of it.
runtime::ContainerOutput outputs(Progress& progress) {
  runtime::ContainerOutput output;
  output.out = [&progress](std::string_view text) {
    progress.stop();
    write_all(STDOUT_FILENO, text);
  };
  output.err = [&progress](std::string_view text) {
    progress.stop();
    write_all(STDERR_FILENO, text);
  };
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

// Passes terminal, input and signals on until the command has ended.
Result<runtime::ContainerExit> attend(runtime::Container& running,
                                      const runtime::ContainerOptions& options) {
  std::optional<RawTerminal> raw;
  if (options.terminal) raw.emplace();
  const SignalForwarder signals(running);
  std::optional<InputPump> input;
  if (options.input)
    input.emplace(
        STDIN_FILENO, [&](std::span<const std::byte> data) { return running.send_input(data); },
        [&] { running.close_input(); });
  return running.wait();
}

Result<int> run(RunOptions& options) {
  HUSK_TRY(resolve(options));
  SignalForwarder::block();
  Progress progress("preparing " + options.container.image);
  const auto running = HUSK_TRY(runtime::Container::start(options.container, outputs(progress)));
  const runtime::ContainerExit exit = HUSK_TRY(attend(*running, options.container));
  progress.stop();
  if (!exit.reason.empty()) report(exit.reason);
  return exit.code;
}

}  // namespace

void add_run(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<RunOptions>();
  auto* verb = app.add_subcommand("run", "Run a command of an image in a machine of its own");
  verb->prefix_command();
  auto& container = options->container;
  verb->add_option("--memory,-m", options->memory, "Memory, such as 512M")->capture_default_str();
  verb->add_option("--cpus", container.vcpus, "Number of vCPUs")->capture_default_str();
  add_cpu_flag(*verb, options->cpu_model);
  add_cpu_mode_flag(*verb, options->cpu_mode);
  verb->add_option("--env,-e", container.environment, "Set a variable: KEY=VALUE")
      ->allow_extra_args(false);
  verb->add_option("--workdir,-w", container.working_directory,
                   "Working directory in the container");
  verb->add_option("--user,-u", container.user, "User: name or uid, with :group");
  options->entrypoint_given =
      verb->add_option("--entrypoint", options->entrypoint, "Replace the image's entry point");
  verb->add_option("--kernel", container.kernel, "Guest kernel instead of the default one");
  verb->add_option("--vsock", container.vsock, "Socket that leads to the guest's vsock ports");
  verb->add_flag("--cold", container.cold, "Boot the kernel in place of restoring a booted one");
  verb->add_option("--backend", container.backend, "What runs the machine")
      ->check(CLI::IsMember(runtime::backend_names()));
  add_kernel_irqchip(*verb, container.kernel_irqchip);
  verb->add_option("--name", container.name, "Name of the machine");
  verb->add_flag("-i,--interactive", container.input, "Keep standard input open");
  verb->add_flag("-t,--tty", container.terminal, "Give the command a terminal");
  verb->add_flag("--rm", options->remove, "Remove everything afterwards (always so)");
  verb->callback([verb, options, &chosen] {
    options->words = verb->remaining();
    if (!options->words.empty() && options->words.front() == "--")
      options->words.erase(options->words.begin());
    if (options->words.size() > 1 && options->words[1] == "--")
      options->words.erase(options->words.begin() + 1);
    chosen = [options] {
      if (options->words.empty()) return report("run: no image given");
      if (options->words.front().starts_with("-"))
        return report("run: unknown flag " + options->words.front());
      const auto code = run(*options);
      return code ? *code : report(code.error());
    };
  });
}

}  // namespace husk::cli
