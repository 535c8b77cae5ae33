#include "gdb/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <optional>

#include "base/try.h"
#include "net/unix_socket.h"

namespace husk::gdb {
namespace {

constexpr std::string_view kUnix = "unix:";

std::optional<uint16_t> port_of(const std::string& text) {
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return port;
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Result<base::Fd> listen_on(uint16_t port) {
  const std::string subject = "port " + std::to_string(port);
  base::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  const sockaddr_in address = loopback(port);
  if (!socket.valid() ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(socket.get(), 1) != 0)
    return fail_errno(subject, "cannot listen");
  return socket;
}

uint16_t bound_port(const base::Fd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  (void)::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

// unix(7), SO_PEERCRED: who connected.
bool may_debug(const base::Fd& socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

}  // namespace

Result<Listener> Listener::open(const std::string& where) {
  Listener made;
  if (where.starts_with(kUnix)) {
    const std::string path = where.substr(kUnix.size());
    made.socket_ = HUSK_TRY(net::listen_at(path));
    made.path_ = made.address_ = path;
    return made;
  }
  const auto port = port_of(where);
  if (!port)
    return fail(ErrorKind::kInvalidArgument, where,
                "is no place for a debugger: a port from 0 to 65535, or unix:PATH");
  made.socket_ = HUSK_TRY(listen_on(*port));
  made.address_ = "127.0.0.1:" + std::to_string(bound_port(made.socket_));
  return made;
}

Listener::~Listener() {
  if (socket_.valid() && !path_.empty()) ::unlink(path_.c_str());
}

base::Fd Listener::accept() const {
  base::Fd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client.valid()) return client;
  if (!path_.empty()) return may_debug(client) ? std::move(client) : base::Fd();
  // Answers are small, and each is waited for.
  const int on = 1;
  (void)::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return client;
}

}  // namespace husk::gdb
