#include "agent/guest/session.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

namespace husk::agent {
namespace {

constexpr int64_t kDrainMs = 100;  // how long output may stay quiet once the command has ended
// Output that the host has not acknowledged; when it is this much, the command waits.
constexpr size_t kKeptLimit = 256 * 1024;
constexpr size_t kPiece = 32 * 1024;

void watch_one(std::vector<pollfd>& descriptors, const Descriptor& descriptor, int events) {
  if (descriptor.valid() && events != 0)
    descriptors.push_back({descriptor.get(), static_cast<short>(events), 0});
}

}  // namespace

Session::~Session() {
  if (command_.pid > 0) ::kill(-command_.pid, SIGHUP);
}

void Session::kill() {
  if (command_.pid > 0) ::kill(-command_.pid, SIGKILL);
}

bool Session::attach(Descriptor& connection, FrameParser& parser, uint64_t wanted) {
  if (!link_.can_go_on(wanted)) return false;
  link_.begin(encode(Type::kAttached, {}, link_.wanted()), std::move(parser));
  link_.go_on(wanted);
  connection_ = std::move(connection);
  hear();
  say();
  return true;
}

bool Session::stalled() const { return link_.kept() >= kKeptLimit; }

void Session::watch(std::vector<pollfd>& descriptors) {
  watched_ = descriptors.size();
  watch_one(descriptors, connection_, POLLIN | (link_.has_outgoing() ? POLLOUT : 0));
  if (!stalled()) {
    watch_one(descriptors, command_.output, POLLIN);
    watch_one(descriptors, command_.error, POLLIN);
  }
  if (!input_.empty()) watch_one(descriptors, command_.input, POLLOUT);
  watches_ = descriptors.size() - watched_;
}

int64_t Session::deadline() const {
  return ended_ && !reported_ && !stalled() ? last_output_ + kDrainMs : -1;
}

bool Session::drained(int64_t now) const {
  if (!command_.output.valid() && !command_.error.valid()) return true;
  return !stalled() && now - last_output_ >= kDrainMs;
}

void Session::turn(std::span<const pollfd> descriptors, int64_t now) {
  const auto ready = [&](const Descriptor& descriptor) {
    for (const pollfd& one : descriptors.subspan(watched_, watches_)) {
      if (one.fd == descriptor.get() && one.revents != 0) return true;
    }
    return false;
  };
  // What waits for the host is not read, so quiet says nothing of the command.
  if (stalled()) last_output_ = now;
  const bool output = ready(command_.output), error = ready(command_.error);
  if (ready(connection_)) hear();
  write_input();
  if (output && !stalled()) read_output(command_.output, Type::kStdout, now);
  if (error && !stalled()) read_output(command_.error, Type::kStderr, now);
  say();
}

bool Session::child_ended(pid_t pid, int status, int64_t now) {
  if (pid != command_.pid) return false;
  command_.pid = -1;  // the number is free for others
  if (ended_) return true;
  ended_ = true;
  last_output_ = now;
  code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

void Session::report() {
  if (reported_) return;
  reported_ = true;
  link_.send(Type::kExited, number_payload(static_cast<uint32_t>(code_), reason_));
  say();
}

// The command never ran; there is nothing else to tell.
void Session::fail(const std::string& reason) {
  link_.send(Type::kFailed, reason);
  ended_ = reported_ = true;
}

// A peer that is gone, half or whole, or talks nonsense is one that went away without a word.
void Session::hear() {
  if (!connection_.valid()) return;
  char buffer[kPiece];
  const ssize_t n = ::recv(connection_.get(), buffer, sizeof(buffer), 0);
  const bool gone = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
  if (n > 0) link_.feed({buffer, static_cast<size_t>(n)});
  while (const auto frame = link_.next()) {
    take(*frame);
    link_.delivered(*frame);
  }
  if (gone || link_.broken()) connection_.reset();
}

void Session::take(const Frame& frame) {
  switch (frame.type) {
    case Type::kRun:
      return run(frame);
    case Type::kStdin:
      input_ += frame.payload;
      return;
    case Type::kStdinClose:
      close_input_ = true;
      return;
    case Type::kSignal:
      if (const auto signal = decode_number(frame.payload); signal && command_.pid > 0)
        ::kill(command_.pid, static_cast<int>(signal->number));
      return;
    case Type::kWindowSize:
      return resize(frame);
    case Type::kResumed:
      if (const auto moment = decode_moment(frame.payload); moment && take_over_)
        take_over_(*moment);
      return;
    default:
      return;
  }
}

void Session::resize(const Frame& frame) {
  const auto rows = decode_number(frame.payload);
  const auto columns = rows ? decode_number(rows->text) : std::nullopt;
  if (!columns || !command_.terminal) return;
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows->number);
  size.ws_col = static_cast<unsigned short>(columns->number);
  ::ioctl(command_.output.get(), TIOCSWINSZ, &size);
}

void Session::run(const Frame& frame) {
  if (begun_) return;
  begun_ = true;
  auto request = decode_run(frame.payload);
  if (!request) return fail("the host's request cannot be read");
  if (const std::string error = prepare_(*request); !error.empty()) return fail(error);
  if (request->argv.empty()) {
    ended_ = true;
    return;
  }
  const StartFailure failure = start(*request, command_);
  if (failure.code == 125) return fail(failure.reason);
  if (failure.code == 0)
    return link_.send(Type::kStarted, number_payload(static_cast<uint32_t>(command_.pid)));
  code_ = failure.code;
  reason_ = failure.reason;
  ended_ = true;
}

void Session::write_input() {
  while (!input_.empty() && begun_) {
    const bool open = command_.input.valid();
    const ssize_t n = open ? ::write(command_.input.get(), input_.data(), input_.size()) : -1;
    if (open && n < 0 && (errno == EAGAIN || errno == EINTR)) break;
    const size_t taken =
        n < 0 ? input_.size() : static_cast<size_t>(n);  // nobody reads: it is gone
    input_.erase(0, taken);
    if (!reported_) link_.send(Type::kCredit, number_payload(static_cast<uint32_t>(taken)));
    if (n < 0) close_input();
  }
  if (close_input_ && input_.empty()) close_input();
}

void Session::close_input() {
  if (!command_.input.valid()) return;
  if (command_.terminal) {
    const char end_of_file = 4;
    [[maybe_unused]] const ssize_t n = ::write(command_.input.get(), &end_of_file, 1);
  }
  command_.input.reset();
  close_input_ = false;
}

void Session::read_output(Descriptor& source, Type type, int64_t now) {
  if (!source.valid()) return;
  char buffer[kPiece];
  const ssize_t n = ::read(source.get(), buffer, sizeof(buffer));
  if (n > 0) {
    last_output_ = now;
    return link_.send(type, {buffer, static_cast<size_t>(n)});
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  source.reset();  // the end, or a terminal that nobody holds any more
}

void Session::say() {
  while (connection_.valid()) {
    const std::string_view bytes = link_.outgoing();
    if (bytes.empty()) return;
    const ssize_t n = ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      link_.wrote(static_cast<size_t>(n));
    } else if (errno == EAGAIN || errno == EINTR) {
      return;
    } else {
      connection_.reset();
    }
  }
}

}  // namespace husk::agent
