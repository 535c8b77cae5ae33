#include "agent/host/client.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

namespace husk::agent {
namespace {

constexpr size_t kPiece = 64 * 1024;
// What the guest has not acknowledged; there is no more than this whatever it grants.
constexpr size_t kMostKept = kMaxRunPayload + 4 * kStdinWindow;
// Connections in a row that bring nothing, until the session is given up.
constexpr int kMostVain = 16;
// For output that is on its way when a position is wanted, and how often it is looked for.
constexpr auto kQuietLimit = std::chrono::seconds(2);
constexpr auto kLook = std::chrono::milliseconds(1);

}  // namespace

Client::Client(SessionKind kind, Connect connect, ClientEvents events, Position position)
    : kind_(kind),
      connect_(std::move(connect)),
      events_(std::move(events)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      giving_up_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      link_(std::move(position.link)),
      credit_(std::min<uint64_t>(position.credit, kStdinWindow)),
      known_(link_.wanted() != 1 || link_.kept() != 0),
      started_(position.started),
      thread_([this] { serve(); }) {}

Client::~Client() { leave(); }

Position Client::leave() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  ::eventfd_write(giving_up_.get(), 1);
  ::eventfd_write(wake_.get(), 1);
  if (thread_.joinable()) thread_.join();
  return position();
}

void Client::begin() {
  {
    const std::lock_guard lock(mutex_);
    begun_ = true;
  }
  changed_.notify_all();
}

void Client::drain() {
  std::unique_lock lock(mutex_);
  draining_ = true;
  changed_.notify_all();
  ::eventfd_write(giving_up_.get(), 1);
  ::eventfd_write(wake_.get(), 1);
  changed_.wait(lock, [&] { return over_; });
}

RunResult Client::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return over_; });
  return result_;
}

RunResult Client::result() {
  const std::lock_guard lock(mutex_);
  return result_;
}

Position Client::position() {
  const auto until = std::chrono::steady_clock::now() + kQuietLimit;
  std::unique_lock lock(mutex_);
  while (!quiet() && std::chrono::steady_clock::now() < until) changed_.wait_for(lock, kLook);
  return {link_.position(), credit_, started_};
}

// The thread waits, and nothing has come that it is about to see.
bool Client::quiet() const {
  pollfd waits{socket_, POLLIN, 0};
  return socket_ < 0 || (idle_ && ::poll(&waits, 1, 0) == 0);
}

bool Client::may_connect() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return begun_ || stopping_ || draining_; });
  return !stopping_ && !draining_;
}

void Client::serve() {
  if (!wake_.valid() || !giving_up_.valid()) give_up("there is no descriptor left for an event");
  for (int vain = 0; may_connect() && result().reason.empty();) {
    const auto connection = connect_(giving_up_);
    if (!connection) {
      give_up(connection.error().message());
      break;
    }
    const uint64_t before = link_.wanted();
    const Talk talk = converse(*connection);
    if (talk == Talk::kOver) break;
    if (talk == Talk::kBroken) give_up("the guest's agent does not keep to its protocol");
    vain = link_.wanted() == before ? vain + 1 : 0;
    if (result().reason.empty() && (kind_ == SessionKind::kExec || vain == kMostVain))
      give_up("the connection to the guest's agent is lost");
  }
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
}

// An agent that cannot know of the session yet is told everything at once; any other one first says
// from where it is to go on.
Client::Talk Client::converse(const base::Fd& connection) {
  {
    const std::lock_guard lock(mutex_);
    link_.begin(encode_attach(kind_, link_.wanted()));
    if (!std::exchange(known_, true)) link_.go_on(1);
    socket_ = connection.get();
    flush();
  }
  const Talk talk = exchange(connection);
  const std::lock_guard lock(mutex_);
  socket_ = -1;
  return talk;
}

Client::Talk Client::exchange(const base::Fd& connection) {
  for (;;) {
    std::array<pollfd, 2> waits{pollfd{connection.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    bool draining = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return Talk::kOver;
      draining = draining_;
      idle_ = true;
      changed_.notify_all();
      if (link_.has_outgoing()) waits[0].events |= POLLOUT;
    }
    ::poll(waits.data(), waits.size(), draining ? 0 : -1);
    const bool readable = (waits[0].revents & ~POLLOUT) != 0;
    set_busy();
    if (draining && !readable) return Talk::kOver;
    eventfd_t ignored = 0;
    if (waits[1].revents != 0) ::eventfd_read(wake_.get(), &ignored);
    if ((waits[0].revents & POLLOUT) != 0) {
      const std::lock_guard lock(mutex_);
      flush();
    }
    if (!readable) continue;
    const bool more = receive(connection);
    const Talk talk = deliver();
    if (talk != Talk::kGoesOn) return talk;
    if (!more) return Talk::kLost;
  }
}

void Client::set_busy() {
  const std::lock_guard lock(mutex_);
  idle_ = false;
}

bool Client::receive(const base::Fd& connection) {
  std::array<char, kPiece> bytes;
  const ssize_t n = ::recv(connection.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
  const std::lock_guard lock(mutex_);
  link_.feed({bytes.data(), static_cast<size_t>(n)});
  return true;
}

Client::Talk Client::deliver() {
  while (const auto frame = next_frame()) {
    const Talk talk = handle(*frame);
    if (talk != Talk::kGoesOn) return talk;
  }
  const std::lock_guard lock(mutex_);
  flush();
  return link_.broken() ? Talk::kBroken : Talk::kGoesOn;
}

std::optional<Frame> Client::next_frame() {
  const std::lock_guard lock(mutex_);
  if (stopping_) return std::nullopt;
  auto frame = link_.next();
  delivering_ = frame.has_value();
  return frame;
}

Client::Talk Client::handle(const Frame& frame) {
  Talk talk = Talk::kGoesOn;
  if (frame.type == Type::kRefused) {
    finish({true, true, 0, frame.payload});
    talk = Talk::kOver;
  } else if (frame.type != Type::kAttached) {
    talk = handle_numbered(frame);
  }
  const std::lock_guard lock(mutex_);
  delivering_ = false;
  changed_.notify_all();
  if (frame.type == Type::kAttached) {
    if (!link_.can_go_on(frame.sequence)) return Talk::kBroken;
    link_.go_on(frame.sequence);
  } else if (frame.type != Type::kRefused) {
    link_.delivered(frame);
    if (talk == Talk::kOver) link_.acknowledge();
  }
  flush();
  return talk;
}

// What a guest says after the end of its command is not heard any more.
Client::Talk Client::handle_numbered(const Frame& frame) {
  const auto numbered = decode_number(frame.payload);
  if (frame.type == Type::kStdout) {
    events_.out(frame.payload);
  } else if (frame.type == Type::kStderr) {
    events_.err(frame.payload);
  } else if (frame.type == Type::kStarted) {
    started_ = true;
    events_.started();
  } else if (frame.type == Type::kCredit && numbered) {
    const std::lock_guard lock(mutex_);
    credit_ = std::min<uint64_t>(kStdinWindow, credit_ + numbered->number);
  } else if (frame.type == Type::kFailed) {
    finish({true, true, 0, frame.payload});
    return Talk::kOver;
  } else if (frame.type == Type::kExited && numbered) {
    finish({true, false, static_cast<int>(numbered->number & 0xff), std::string(numbered->text)});
    return Talk::kOver;
  }
  return Talk::kGoesOn;
}

void Client::finish(RunResult result) {
  {
    const std::lock_guard lock(mutex_);
    result_ = std::move(result);
  }
  events_.finished();
}

// Whoever no longer wants a result is told of no reason either.
void Client::give_up(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || draining_) return;
  }
  finish({false, false, 0, reason});
}

void Client::send(Type type, std::string_view payload) {
  const std::lock_guard lock(mutex_);
  if (kHeaderSize + payload.size() > room()) return;
  link_.send(type, payload);
  flush();
}

size_t Client::room() const { return kMostKept - std::min(kMostKept, link_.kept()); }

void Client::flush() {
  while (socket_ >= 0) {
    const std::string_view bytes = link_.outgoing();
    if (bytes.empty()) return;
    const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      link_.wrote(static_cast<size_t>(n));
    } else if (errno != EINTR) {
      // The thread waits until the socket takes more, or finds it broken.
      ::eventfd_write(wake_.get(), 1);
      return;
    }
  }
}

void Client::run(const RunRequest& request) { send(Type::kRun, encode_run(request)); }
void Client::tell(const Moment& present) { send(Type::kResumed, encode_moment(present)); }
void Client::close_input() { send(Type::kStdinClose, {}); }
void Client::send_signal(int number) {
  send(Type::kSignal, number_payload(static_cast<uint32_t>(number)));
}
void Client::send_window_size(uint32_t rows, uint32_t columns) {
  send(Type::kWindowSize, number_payload(rows, number_payload(columns)));
}

size_t Client::send_input(std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  const size_t space = room() - std::min(room(), kHeaderSize);
  const size_t n = std::min({data.size(), static_cast<size_t>(credit_), kMaxPayload, space});
  if (n == 0) return 0;
  credit_ -= n;
  link_.send(Type::kStdin, {reinterpret_cast<const char*>(data.data()), n});
  flush();
  return n;
}

}  // namespace husk::agent
