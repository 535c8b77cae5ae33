// What the client's own thread does: connects, reads, delivers. The rest is in client.cc.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "agent/host/client.h"

namespace husk::agent {
namespace {

constexpr size_t kPiece = 64 * 1024;
// Connections in a row that bring nothing, until the session is given up.
constexpr int kMostVain = 16;

}  // namespace

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
    if (result().reason.empty() && (kind_ != SessionKind::kMain || vain == kMostVain))
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

}  // namespace husk::agent
