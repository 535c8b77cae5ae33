#include "net/vsock_unix.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string_view>

#include "base/try.h"
#include "net/unix_socket.h"
#include "net/vsock_greeting.h"
#include "net/vsock_stream.h"

namespace husk::net {
namespace {

constexpr size_t kPortSuffix = std::string_view("_4294967295").size();
// Every change is told once: what a socket has waits in it until the guest can have it.
constexpr uint32_t kEveryChange = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

}  // namespace

Result<std::unique_ptr<VsockUnix>> VsockUnix::create(std::string path) {
  std::unique_ptr<VsockUnix> made(new VsockUnix);
  made->epoll_ = base::Fd(::epoll_create1(EPOLL_CLOEXEC));
  made->stop_ = base::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made->epoll_.valid() || !made->stop_.valid() ||
      !made->watch(EPOLL_CTL_ADD, made->stop_.get(), kStop, EPOLLIN))
    return fail_errno("vsock", "cannot wait for sockets");
  if (path.empty()) return made;
  HUSK_TRY(check_socket_path(path, kPortSuffix));
  made->listener_ = HUSK_TRY(listen_at(path));
  made->path_ = std::move(path);
  // By the edge: what cannot be accepted for want of descriptors does not keep the thread busy.
  if (!made->watch(EPOLL_CTL_ADD, made->listener_.get(), kListener, EPOLLIN | EPOLLET))
    return fail_errno("vsock", "cannot wait for sockets");
  return made;
}

VsockUnix::~VsockUnix() {
  ::eventfd_write(stop_.get(), 1);
  if (thread_.joinable()) thread_.join();
  if (!path_.empty()) ::unlink(path_.c_str());
}

void VsockUnix::start(contract::VsockPort& port) {
  port_ = &port;
  thread_ = std::thread([this] { run(); });
}

bool VsockUnix::watch(int operation, int fd, uint64_t id, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  return ::epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
}

std::unique_ptr<contract::VsockStream> VsockUnix::make_stream(int operation, uint64_t id,
                                                              base::Fd socket) {
  if (!watch(operation, socket.get(), id, kEveryChange)) return nullptr;
  return std::make_unique<VsockSocket>(id, std::move(socket));
}

std::unique_ptr<contract::VsockStream> VsockUnix::connect(uint32_t port) {
  if (path_.empty()) return nullptr;
  base::Fd socket = connect_to(path_ + "_" + std::to_string(port));
  if (!socket.valid()) return nullptr;
  return make_stream(EPOLL_CTL_ADD, new_id(), std::move(socket));
}

Result<base::Fd> VsockUnix::open(uint32_t guest_port) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno("vsock", "cannot make a pair of sockets");
  base::Fd ours(pair[0]), theirs(pair[1]);
  auto stream = make_stream(EPOLL_CTL_ADD, new_id(), std::move(ours));
  if (stream == nullptr) return fail_errno("vsock", "cannot wait for a socket");
  port_->open(guest_port, std::move(stream));
  return theirs;
}

void VsockUnix::run() {
  std::array<epoll_event, 64> events;
  for (bool go_on = true; go_on;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    for (const epoll_event& event :
         std::span(events).first(static_cast<size_t>(std::max(count, 0))))
      go_on &= handle(event.data.u64, event.events);
  }
}

bool VsockUnix::handle(uint64_t id, uint32_t events) {
  if (id == kStop) return false;
  if (id == kListener) {
    accept_all();
  } else if (greetings_.contains(id)) {
    hear_greeting(id, (events & (EPOLLHUP | EPOLLRDHUP)) != 0);
  } else {
    port_->ready(id);
  }
  return true;
}

void VsockUnix::accept_all() {
  for (;;) {
    base::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return;
    }
    const uint64_t id = new_id();
    if (greetings_.size() < kMostGreetings &&
        watch(EPOLL_CTL_ADD, socket.get(), id, EPOLLIN | EPOLLRDHUP | EPOLLET))
      greetings_.emplace(id, std::move(socket));
  }
}

// Looks before it takes: what is behind the line is for the guest.
void VsockUnix::hear_greeting(uint64_t id, bool ended) {
  const auto found = greetings_.find(id);
  std::array<char, kMostGreeting> bytes;
  const ssize_t n =
      ::recv(found->second.get(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && !ended && (errno == EAGAIN || errno == EINTR)) return;
  const std::string_view text(bytes.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
  const size_t end = text.find('\n');
  if (end == std::string_view::npos && !ended && !text.empty() && text.size() < kMostGreeting)
    return;
  base::Fd socket = std::move(found->second);
  greetings_.erase(found);
  // Also of a line that is none, for who is hung up on with something unread gets an error.
  const size_t length = end == std::string_view::npos ? text.size() : end + 1;
  std::array<char, kMostGreeting> line;
  if (::recv(socket.get(), line.data(), length, MSG_DONTWAIT) <= 0) return;
  const auto port = parse_greeting(text.substr(0, length - 1));
  if (end == std::string_view::npos || !port) return;
  if (auto stream = make_stream(EPOLL_CTL_MOD, id, std::move(socket)))
    port_->open(*port, std::move(stream));
}

}  // namespace husk::net
