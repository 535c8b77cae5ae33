// PID 1 of a Husk guest: brings the container's root up, runs one command for the host, reports how
// it ended, and powers the machine off.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "agent/guest/process.h"
#include "agent/guest/setup.h"
#include "agent/protocol/message.h"

namespace husk::agent {
namespace {

constexpr int kDrainMs = 100;  // how long output may stay quiet once the command has ended
constexpr size_t kOutgoingLimit =
    256 * 1024;  // output that waits for the host; then the command waits
constexpr size_t kPiece = 32 * 1024;

class Agent {
 public:
  explicit Agent(int port) : port_(port) {}

  void run() {
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &children, nullptr);
    children_ = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    utsname kernel{};
    ::uname(&kernel);
    send(encode_number(Type::kHello, kProtocolVersion, kernel.release));
    while (!done_) turn();
  }

 private:
  void send(const std::string& bytes) { outgoing_ += bytes; }

  void turn() {
    pollfd fds[5];
    int count = 0;
    const auto watch = [&](int fd, short events) {
      if (fd >= 0 && events != 0) fds[count++] = {fd, events, 0};
    };
    const bool room = outgoing_.size() < kOutgoingLimit;
    watch(port_, static_cast<short>(POLLIN | (outgoing_.empty() ? 0 : POLLOUT)));
    watch(children_, POLLIN);
    if (room) {
      watch(command_.output, POLLIN);
      watch(command_.error, POLLIN);
    }
    if (!input_.empty()) watch(command_.input, POLLOUT);
    const int ready = ::poll(fds, static_cast<nfds_t>(count), ended_ ? kDrainMs : -1);
    reap();
    read_port();
    write_input();
    if (room) {
      read_output(command_.output, Type::kStdout);
      read_output(command_.error, Type::kStderr);
    }
    write_port();
    const bool drained = command_.output < 0 && command_.error < 0;
    if (ended_ && !reported_ && (drained || ready == 0)) report();
    if (reported_ && outgoing_.empty()) done_ = true;
  }

  void reap() {
    signalfd_siginfo ignored;
    while (::read(children_, &ignored, sizeof(ignored)) > 0) {
    }
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid != command_.pid) continue;
      ended_ = true;
      code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
  }

  void report() {
    reported_ = true;
    send(encode_number(Type::kExited, static_cast<uint32_t>(code_), reason_));
  }

  void read_port() {
    char buffer[kPiece];
    ssize_t n;
    while ((n = ::read(port_, buffer, sizeof(buffer))) > 0)
      parser_.feed({buffer, static_cast<size_t>(n)});
    while (auto frame = parser_.next()) handle(*frame);
    // Zero bytes: the host's end is closed, nobody waits for us any more.
    if (n == 0 || parser_.broken()) done_ = true;
  }

  void handle(const Frame& frame) {
    switch (frame.type) {
      case Type::kRun:
        return run_command(frame);
      case Type::kStdin:
        input_ += frame.payload;
        return;
      case Type::kStdinClose:
        close_input_ = true;
        return;
      case Type::kSignal:
        if (const auto signal = decode_number(frame.payload); signal && command_.pid > 0 && !ended_)
          ::kill(command_.pid, static_cast<int>(signal->number));
        return;
      case Type::kWindowSize: {
        const auto rows = decode_number(frame.payload);
        const auto columns = rows ? decode_number(rows->text) : std::nullopt;
        if (!columns || !command_.terminal) return;
        winsize size{};
        size.ws_row = static_cast<unsigned short>(rows->number);
        size.ws_col = static_cast<unsigned short>(columns->number);
        ::ioctl(command_.output, TIOCSWINSZ, &size);
        return;
      }
      default:
        return;
    }
  }

  void run_command(const Frame& frame) {
    if (command_.pid != -1) return;
    const auto request = decode_run(frame.payload);
    if (!request) return send(encode(Type::kFailed, "the host's request cannot be read"));
    if (const std::string error = enter_root(request->hostname); !error.empty()) {
      send(encode(Type::kFailed, error));
      reported_ = true;
      return;
    }
    const StartFailure failure = start(*request, command_);
    if (failure.code == 125) {
      send(encode(Type::kFailed, failure.reason));
      reported_ = true;
    } else if (failure.code != 0) {
      code_ = failure.code;
      reason_ = failure.reason;
      ended_ = true;
    } else {
      send(encode_number(Type::kStarted, static_cast<uint32_t>(command_.pid)));
    }
  }

  void write_input() {
    while (!input_.empty() && command_.input >= 0) {
      const ssize_t n = ::write(command_.input, input_.data(), input_.size());
      if (n < 0 && errno == EAGAIN) break;
      const size_t taken =
          n < 0 ? input_.size() : static_cast<size_t>(n);  // nobody reads: it is gone
      input_.erase(0, taken);
      send(encode_number(Type::kCredit, static_cast<uint32_t>(taken)));
      if (n < 0) close_input();
    }
    if (close_input_ && input_.empty()) close_input();
  }

  void close_input() {
    if (command_.input < 0) return;
    if (command_.terminal) {
      const char end_of_file = 4;
      [[maybe_unused]] const ssize_t n = ::write(command_.input, &end_of_file, 1);
    }
    ::close(command_.input);
    command_.input = -1;
    close_input_ = false;
  }

  void read_output(int& fd, Type type) {
    if (fd < 0) return;
    char buffer[kPiece];
    const ssize_t n = ::read(fd, buffer, sizeof(buffer));
    if (n > 0) return send(encode(type, {buffer, static_cast<size_t>(n)}));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    ::close(fd);  // the end, or a terminal that nobody holds any more
    fd = -1;
  }

  void write_port() {
    while (!outgoing_.empty()) {
      const ssize_t n = ::write(port_, outgoing_.data(), std::min(outgoing_.size(), kPiece));
      if (n <= 0) return;
      outgoing_.erase(0, static_cast<size_t>(n));
    }
  }

  int port_;
  int children_ = -1;
  Command command_;
  FrameParser parser_;
  std::string input_, outgoing_, reason_;
  int code_ = 0;
  bool close_input_ = false, ended_ = false, reported_ = false, done_ = false;
};

}  // namespace
}  // namespace husk::agent

int main() {
  using namespace husk::agent;  // NOLINT(google-build-using-namespace)
  ::signal(SIGPIPE, SIG_IGN);
  mount_early();
  load_modules();
  const int port = open_control_port();
  if (port < 0) {
    console_line("husk-agent: no control port");
  } else {
    // The lifecycle contract's marker; the guest has no network but its loopback.
    console_line("VMRS_READY 127.0.0.1");
    Agent(port).run();
  }
  ::kill(-1, SIGKILL);
  ::sync();
  ::reboot(RB_POWER_OFF);
  for (;;) ::pause();
}
