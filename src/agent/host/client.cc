#include "agent/host/client.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace husk::agent {
namespace {

// What the guest has not acknowledged; there is no more than this whatever it grants.
constexpr size_t kMostKept = kMaxRunPayload + 4 * kStdinWindow;
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
