#include "control/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/try.h"
#include "net/unix_socket.h"

namespace husk::control {
namespace {

constexpr const char* kSubject = "control request";

// unix(7), SO_PEERCRED: who connected.
bool may_ask(const base::Fd& socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

std::string to_text(const Result<Json>& result) {
  Json answer = Json::object();
  if (result && result->is_object()) answer = *result;
  answer["ok"] = result.has_value();
  if (!result) answer["error"] = result.error().message();
  return api::to_line(answer);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(std::string path) {
  std::unique_ptr<Server> made(new Server);
  made->wake_ = base::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made->wake_.valid()) return fail_errno(path, "cannot make an event");
  made->listener_ = HUSK_TRY(net::listen_at(path));
  made->path_ = std::move(path);
  return made;
}

Server::~Server() {
  if (worker_ != nullptr) worker_->stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  if (thread_.joinable()) thread_.join();
  if (!path_.empty()) ::unlink(path_.c_str());
}

void Server::on(std::string verb, Handler handler) {
  verbs_.insert_or_assign(std::move(verb), Verb{Kind::kAtOnce, std::move(handler)});
}

void Server::on_slow(std::string verb, Handler handler) {
  verbs_.insert_or_assign(std::move(verb), Verb{Kind::kSlow, std::move(handler)});
  if (worker_ == nullptr) worker_ = std::make_unique<Worker>();
}

void Server::on_end(std::string verb) {
  verbs_.insert_or_assign(std::move(verb), Verb{Kind::kAtEnd, {}});
}

void Server::start() {
  thread_ = std::thread([this] { run(); });
}

void Server::end(Json answer) {
  {
    const std::lock_guard lock(mutex_);
    end_ = std::move(answer);
  }
  wake();
}

void Server::wake() const { ::eventfd_write(wake_.get(), 1); }

void Server::run() {
  for (bool go_on = true; go_on;) {
    wait_for_events();
    {
      const std::lock_guard lock(mutex_);
      go_on = !stopping_;
    }
    deliver_results();
    drop_finished();
  }
}

// Nobody is accepted while there are too many, which ends when one of them has been given up.
void Server::wait_for_events() {
  const bool room = connections_.size() < kMostClients;
  std::vector<pollfd> watched{{wake_.get(), POLLIN, 0},
                              {listener_.get(), static_cast<short>(room ? POLLIN : 0), 0}};
  std::vector<uint64_t> ids;
  for (const auto& [id, connection] : connections_) {
    watched.push_back({connection.fd(), connection.events(), 0});
    ids.push_back(id);
  }
  if (::poll(watched.data(), watched.size(), milliseconds_to_wait()) <= 0) return;
  eventfd_t ignored;
  if (watched[0].revents != 0) ::eventfd_read(wake_.get(), &ignored);
  for (size_t i = 0; i < ids.size(); ++i) {
    Connection& connection = connections_.at(ids[i]);
    if (connection.handle(watched[i + 2].revents)) take(ids[i], connection);
  }
  if (watched[1].revents != 0) accept_all();
}

int Server::milliseconds_to_wait() const {
  uint64_t first = ~0ULL;
  for (const auto& [id, connection] : connections_) first = std::min(first, connection.deadline());
  if (first == ~0ULL) return -1;
  const uint64_t now = base::monotonic_ns();
  return first <= now ? 0 : static_cast<int>((first - now) / 1'000'000) + 1;
}

void Server::accept_all() {
  while (connections_.size() < kMostClients) {
    base::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) return;
    if (may_ask(socket))
      connections_.emplace(next_id_++, Connection(std::move(socket), base::monotonic_ns()));
  }
}

void Server::take(uint64_t id, Connection& connection) {
  auto request = api::parse_json(connection.request(), kSubject);
  if (!request) return answer(connection, std::unexpected(request.error()));
  const auto name = api::string_member(*request, "verb", kSubject);
  if (!name) return answer(connection, std::unexpected(name.error()));
  const auto verb = verbs_.find(*name);
  if (verb == verbs_.end())
    return answer(connection, fail(ErrorKind::kUnsupported, kSubject, "knows no such verb"));
  dispatch(id, connection, verb->second, std::move(*request));
}

void Server::dispatch(uint64_t id, Connection& connection, const Verb& verb, Json request) {
  switch (verb.kind) {
    case Kind::kAtOnce:
      return answer(connection, verb.handler(request));
    case Kind::kAtEnd:
      return await_end(id, connection);
    case Kind::kSlow:
      break;
  }
  worker_->add([this, id, &verb, request = std::move(request)] {
    Result<Json> result = verb.handler(request);
    const std::lock_guard lock(mutex_);
    results_.emplace_back(id, std::move(result));
    wake();
  });
}

void Server::answer(Connection& connection, const Result<Json>& result) {
  connection.answer(to_text(result), base::monotonic_ns());
}

void Server::await_end(uint64_t id, Connection& connection) {
  if (ended_) return answer(connection, *ended_);
  std::erase_if(waiting_, [this](uint64_t other) { return !connections_.contains(other); });
  if (waiting_.size() >= kMostWaiting)
    return answer(connection, fail(ErrorKind::kLimit, kSubject, "too many wait already"));
  waiting_.push_back(id);
}

// Those who have hung up meanwhile are not there any more.
void Server::deliver_results() {
  std::deque<std::pair<uint64_t, Result<Json>>> results;
  {
    const std::lock_guard lock(mutex_);
    results.swap(results_);
    if (end_) ended_ = std::exchange(end_, std::nullopt);
  }
  if (ended_) {
    for (const uint64_t id : std::exchange(waiting_, {})) results.emplace_back(id, *ended_);
  }
  for (const auto& [id, result] : results) {
    const auto found = connections_.find(id);
    if (found != connections_.end()) answer(found->second, result);
  }
}

void Server::drop_finished() {
  const uint64_t now = base::monotonic_ns();
  std::erase_if(connections_, [now](const auto& entry) {
    return entry.second.state() == Connection::State::kOver || entry.second.deadline() <= now;
  });
}

}  // namespace husk::control
