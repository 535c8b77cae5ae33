#include "cli/attend.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <optional>
#include <thread>

#include "cli/terminal.h"

namespace husk::cli {
namespace {

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
  explicit SignalForwarder(runtime::RunningCommand& command)
      : command_(command), thread_([this] { run(); }) {}
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
      if (signal != SIGWINCH) {
        command_.send_signal(signal);
      } else if (const TerminalSize size = terminal_size(); size.rows != 0) {
        command_.resize(size.rows, size.columns);
      }
    }
  }
  runtime::RunningCommand& command_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace

void block_forwarded_signals() {
  const sigset_t set = forwarded();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

Result<runtime::ContainerExit> attend(runtime::RunningCommand& command,
                                      const Attendance& attendance) {
  std::optional<RawTerminal> raw;
  if (attendance.terminal) raw.emplace();
  const SignalForwarder signals(command);
  std::optional<InputPump> input;
  if (attendance.input)
    input.emplace(
        STDIN_FILENO, [&](std::span<const std::byte> data) { return command.send_input(data); },
        [&] { command.close_input(); });
  return command.wait();
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

TerminalSize terminal_size() {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_row, size.ws_col};
}

}  // namespace husk::cli
