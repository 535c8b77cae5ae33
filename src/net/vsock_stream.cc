#include "net/vsock_stream.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace husk::net {

void VsockSocket::connected(uint32_t host_port) {
  const std::string line = fmt::format("OK {}\n", host_port);
  // It is the first: there is room for it. A peer that has left is noticed when it is read.
  (void)::send(socket_.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

contract::VsockStream::Moved VsockSocket::read(std::span<std::byte> into) {
  Moved moved;
  while (moved.bytes < into.size()) {
    const auto rest = into.subspan(moved.bytes);
    const ssize_t n = ::recv(socket_.get(), rest.data(), rest.size(), MSG_DONTWAIT);
    if (n > 0) {
      moved.bytes += static_cast<size_t>(n);
    } else if (n == 0) {
      moved.way = Way::kEnded;
      break;
    } else if (errno != EINTR) {
      if (errno != EAGAIN) moved.way = Way::kBroken;
      break;
    }
  }
  return moved;
}

contract::VsockStream::Moved VsockSocket::write(std::span<const std::byte> from) {
  Moved moved;
  while (moved.bytes < from.size()) {
    const auto rest = from.subspan(moved.bytes);
    const ssize_t n = ::send(socket_.get(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      moved.bytes += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      if (errno != EAGAIN) moved.way = Way::kBroken;
      break;
    }
  }
  return moved;
}

void VsockSocket::end_writing() { ::shutdown(socket_.get(), SHUT_WR); }
void VsockSocket::end_reading() { ::shutdown(socket_.get(), SHUT_RD); }

bool VsockSocket::gone() const {
  pollfd state{socket_.get(), 0, 0};
  return ::poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace husk::net
