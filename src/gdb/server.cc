#include "gdb/server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/try.h"
#include "gdb/session.h"

namespace husk::gdb {
namespace {

constexpr int kPatienceMs = 10'000;  // for a client to take an answer

// nullopt: nothing to read after all; empty: the client has hung up.
std::optional<std::string_view> read_some(const base::Fd& client, std::span<char> buffer) {
  const ssize_t got = ::recv(client.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  return std::string_view(buffer.data(), got < 0 ? 0 : static_cast<size_t>(got));
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const std::string& where,
                                              std::unique_ptr<Target> target) {
  auto listener = HUSK_TRY(Listener::open(where));
  std::unique_ptr<Server> made(new Server(std::move(listener), std::move(target)));
  made->wake_ = base::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made->wake_.valid()) return fail_errno("gdb", "cannot make an event");
  made->thread_ = std::thread([server = made.get()] { server->run(); });
  return made;
}

Server::~Server() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
}

void Server::wake() {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
}

bool Server::wait_for(int fd) {
  std::array<pollfd, 2> polled{pollfd{fd, POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
  (void)::poll(polled.data(), polled.size(), -1);
  uint64_t count = 0;
  if (polled[1].revents != 0) (void)!::read(wake_.get(), &count, sizeof(count));
  return polled[0].revents != 0;
}

bool Server::send_all(const base::Fd& client, std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
      continue;
    }
    pollfd room{client.get(), POLLOUT, 0};
    if (errno != EAGAIN || ::poll(&room, 1, stopping_ ? 0 : kPatienceMs) != 1) return false;
  }
  return true;
}

void Server::run() {
  while (!stopping_) {
    if (!wait_for(listener_.fd())) continue;
    const base::Fd client = listener_.accept();
    if (client.valid()) serve(client);
  }
}

void Server::serve(const base::Fd& client) {
  bool gone = false;
  Session session(*target_, [&](std::string_view bytes) {
    if (!gone) gone = !send_all(client, bytes);
  });
  std::array<char, 4096> buffer;
  while (!session.over() && !gone) {
    const bool readable = wait_for(client.get());
    session.look();
    if (stopping_) return;
    if (!readable) continue;
    const auto bytes = read_some(client, buffer);
    if (!bytes) continue;
    if (bytes->empty()) return;
    session.receive(*bytes);
  }
}

}  // namespace husk::gdb
