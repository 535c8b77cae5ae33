#include "agent/guest/agent.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace husk::agent {
namespace {

constexpr int kDrainMs = 100;  // how long output may stay quiet once the command has ended
// How often a port that was full is tried again: Linux's virtio console wakes nobody when the host
// has taken something (drivers/char/virtio_console.c: transmit queues have no callback).
constexpr int kRetryMs = 5;
// Output that waits for the host; when it is this much, the command waits.
constexpr size_t kOutgoingLimit = 256 * 1024;
constexpr size_t kPiece = 32 * 1024;

}  // namespace

void Agent::run() {
  ::signal(SIGPIPE, SIG_IGN);  // a command may close its input
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

void Agent::turn() {
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
  const bool waiting = !outgoing_.empty();
  const int timeout = waiting ? kRetryMs : ended_ ? kDrainMs : -1;
  // While the host takes nothing, a quiet command says nothing: it may not be read.
  const bool quiet = ::poll(fds, static_cast<nfds_t>(count), timeout) == 0 && !waiting;
  reap();
  read_port();
  write_input();
  if (room) {
    read_output(command_.output, Type::kStdout);
    read_output(command_.error, Type::kStderr);
  }
  write_port();
  const bool drained = command_.output < 0 && command_.error < 0;
  if (ended_ && !reported_ && (drained || quiet)) report();
  if (reported_ && outgoing_.empty()) done_ = true;
}

void Agent::reap() {
  signalfd_siginfo ignored;
  while (::read(children_, &ignored, sizeof(ignored)) > 0) {
  }
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != command_.pid) continue;
    ended_ = true;
    code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    // What the command left running ends with it, as in any container; it could write for ever.
    if (::getpid() == 1) ::kill(-1, SIGKILL);
  }
}

// The host may stop the machine as soon as it has read this.
void Agent::report() {
  reported_ = true;
  if (::getpid() == 1) ::sync();
  send(encode_number(Type::kExited, static_cast<uint32_t>(code_), reason_));
}

void Agent::read_port() {
  char buffer[kPiece];
  ssize_t n;
  while ((n = ::read(port_, buffer, sizeof(buffer))) > 0)
    parser_.feed({buffer, static_cast<size_t>(n)});
  while (auto frame = parser_.next()) handle(*frame);
  // Zero bytes: the host's end is closed, nobody waits for us any more.
  if (n == 0 || parser_.broken()) done_ = true;
}

void Agent::handle(const Frame& frame) {
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
    case Type::kWindowSize:
      return resize(frame);
    case Type::kResumed:
      if (const auto moment = decode_moment(frame.payload)) take_over_moment_(*moment);
      return;
    default:
      return;
  }
}

void Agent::resize(const Frame& frame) {
  const auto rows = decode_number(frame.payload);
  const auto columns = rows ? decode_number(rows->text) : std::nullopt;
  if (!columns || !command_.terminal) return;
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows->number);
  size.ws_col = static_cast<unsigned short>(columns->number);
  ::ioctl(command_.output, TIOCSWINSZ, &size);
}

// The command never ran; there is nothing else to do.
void Agent::fail(const std::string& reason) {
  send(encode(Type::kFailed, reason));
  reported_ = true;
}

void Agent::run_command(const Frame& frame) {
  if (command_.pid != -1) return;
  const auto request = decode_run(frame.payload);
  if (!request) return fail("the host's request cannot be read");
  if (const std::string error = enter_root_(*request); !error.empty()) return fail(error);
  const StartFailure failure = start(*request, command_);
  if (failure.code == 125) {
    fail(failure.reason);
  } else if (failure.code != 0) {
    code_ = failure.code;
    reason_ = failure.reason;
    ended_ = true;
  } else {
    send(encode_number(Type::kStarted, static_cast<uint32_t>(command_.pid)));
  }
}

void Agent::write_input() {
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

void Agent::close_input() {
  if (command_.input < 0) return;
  if (command_.terminal) {
    const char end_of_file = 4;
    [[maybe_unused]] const ssize_t n = ::write(command_.input, &end_of_file, 1);
  }
  ::close(command_.input);
  command_.input = -1;
  close_input_ = false;
}

void Agent::read_output(int& fd, Type type) {
  if (fd < 0) return;
  char buffer[kPiece];
  const ssize_t n = ::read(fd, buffer, sizeof(buffer));
  if (n > 0) return send(encode(type, {buffer, static_cast<size_t>(n)}));
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  ::close(fd);  // the end, or a terminal that nobody holds any more
  fd = -1;
}

void Agent::write_port() {
  while (!outgoing_.empty()) {
    const ssize_t n = ::write(port_, outgoing_.data(), std::min(outgoing_.size(), kPiece));
    if (n <= 0) return;
    outgoing_.erase(0, static_cast<size_t>(n));
  }
}

}  // namespace husk::agent
