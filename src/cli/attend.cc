#include "cli/attend.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <optional>
#include <thread>

#include "base/log.h"
#include "cli/terminal.h"

namespace husk::cli {
namespace {

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

sigset_t forwarded() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH})
    sigaddset(&set, signal);
  return set;
}

// Takes the process's signals on a thread of its own and passes them on to the command; the
// terminal's size too.
class SignalForwarder {
 public:
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
  void run() {
    const sigset_t set = forwarded();
    for (int signal = 0; ::sigwait(&set, &signal) == 0 && !stopping_;) {
      if (signal == SIGWINCH) {
        const TerminalSize size = terminal_size();
        if (size.rows != 0) container_.resize(size.rows, size.columns);
      } else {
        container_.send_signal(signal);
      }
    }
  }
  runtime::Container& container_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace

void block_signals() {
  const sigset_t set = forwarded();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

TerminalSize terminal_size() {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_row, size.ws_col};
}

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

Result<runtime::ContainerExit> attend(runtime::Container& running, Streams streams) {
  std::optional<RawTerminal> raw;
  if (streams.terminal) raw.emplace();
  const SignalForwarder signals(running);
  std::optional<InputPump> input;
  if (streams.input)
    input.emplace(
        STDIN_FILENO, [&](std::span<const std::byte> data) { return running.send_input(data); },
        [&] { running.close_input(); });
  return running.wait();
}

}  // namespace husk::cli
