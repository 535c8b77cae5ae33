#include "control/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace husk::control {
namespace {

bool is_for_later(ssize_t n) { return n < 0 && (errno == EAGAIN || errno == EINTR); }

}  // namespace

// While the answer is awaited only a client that hangs up is news, which needs no asking for.
short Connection::events() const {
  if (state_ == State::kAsking) return POLLIN;
  return state_ == State::kTaking ? POLLOUT : 0;
}

bool Connection::handle(short happened) {
  if (happened == 0) return false;
  if (state_ == State::kAsking) return read();
  if (state_ == State::kTaking) {
    write();
  } else if ((happened & (POLLHUP | POLLERR)) != 0) {
    give_up();
  }
  return false;
}

// What is behind the line is not looked at: a connection has one request.
bool Connection::read() {
  std::array<char, 4096> chunk;
  const ssize_t n = ::recv(fd(), chunk.data(), chunk.size(), 0);
  if (is_for_later(n)) return false;
  if (n <= 0) {
    give_up();
    return false;
  }
  bytes_.append(chunk.data(), static_cast<size_t>(n));
  const size_t end = bytes_.find('\n');
  if (end == std::string::npos && bytes_.size() < kMaxRequest) return false;
  bytes_.resize(std::min(std::min(end, bytes_.size()), kMaxRequest));
  state_ = State::kAwaited;
  return true;
}

void Connection::answer(std::string line, uint64_t now_ns) {
  bytes_ = std::move(line);
  bytes_ += '\n';
  deadline_ = now_ns + kPatienceNs;
  state_ = State::kTaking;
  write();  // at once, for it fits into the socket as a rule
}

void Connection::write() {
  const ssize_t n = ::send(fd(), bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
  if (is_for_later(n)) return;
  if (n < 0) return give_up();
  bytes_.erase(0, static_cast<size_t>(n));
  if (bytes_.empty()) give_up();
}

}  // namespace husk::control
