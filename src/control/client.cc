#include "control/client.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/clock.h"
#include "base/try.h"
#include "net/unix_socket.h"

namespace husk::control {
namespace {

constexpr size_t kMaxAnswer = size_t{1} << 20;
constexpr uint64_t kRetryNs = 1'000'000;

// Until when; by the monotonic clock.
class Limit {
 public:
  explicit Limit(std::optional<uint64_t> limit_ns)
      : end_(limit_ns ? base::monotonic_ns() + *limit_ns : ~0ULL) {}
  [[nodiscard]] bool over() const { return base::monotonic_ns() >= end_; }
  [[nodiscard]] int milliseconds() const {
    if (end_ == ~0ULL) return -1;
    const uint64_t now = base::monotonic_ns();
    return now >= end_ ? 0 : static_cast<int>((end_ - now) / 1'000'000) + 1;
  }

 private:
  uint64_t end_;
};

std::unexpected<Error> too_late(const std::string& subject) {
  return fail(ErrorKind::kTimeout, subject, "its process does not answer");
}

Result<base::Fd> connect(const std::string& path, const std::string& subject, const Limit& limit) {
  for (;;) {
    base::Fd socket = net::connect_to(path);
    if (socket.valid()) return socket;
    if (errno != EAGAIN) return fail(ErrorKind::kNotFound, subject, "is not running");
    if (limit.over()) return too_late(subject);
    const timespec pause{0, kRetryNs};  // so many wait to be accepted that no more fit
    ::nanosleep(&pause, nullptr);
  }
}

Result<void> wait_for(const base::Fd& socket, short events, const std::string& subject,
                      const Limit& limit) {
  pollfd watched{socket.get(), events, 0};
  for (;;) {
    const int count = ::poll(&watched, 1, limit.milliseconds());
    if (count > 0) return {};
    if (count < 0 && errno != EINTR) return fail_errno(subject, "cannot wait for an answer");
    if (limit.over()) return too_late(subject);
  }
}

std::unexpected<Error> hung_up(const std::string& subject) {
  return fail(ErrorKind::kState, subject, "its process ended without an answer");
}

Result<void> send_all(const base::Fd& socket, std::string_view text, const std::string& subject,
                      const Limit& limit) {
  while (!text.empty()) {
    HUSK_TRY(wait_for(socket, POLLOUT, subject, limit));
    const ssize_t n = ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return hung_up(subject);
    text.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<std::string> receive_line(const base::Fd& socket, const std::string& subject,
                                 const Limit& limit) {
  std::string line;
  std::array<char, 4096> chunk;
  while (line.size() < kMaxAnswer) {
    HUSK_TRY(wait_for(socket, POLLIN, subject, limit));
    const ssize_t n = ::recv(socket.get(), chunk.data(), chunk.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return hung_up(subject);
    line.append(chunk.data(), static_cast<size_t>(n));
    if (const size_t end = line.find('\n'); end != std::string::npos) return line.substr(0, end);
  }
  return fail(ErrorKind::kLimit, subject, "its process answers too much");
}

}  // namespace

Result<api::Json> ask(const std::string& path, const api::Json& request, const std::string& subject,
                      std::optional<uint64_t> limit_ns) {
  const Limit limit(limit_ns);
  const base::Fd socket = HUSK_TRY(connect(path, subject, limit));
  HUSK_TRY(send_all(socket, api::to_line(request) + "\n", subject, limit));
  const std::string line = HUSK_TRY(receive_line(socket, subject, limit));
  api::Json answer = HUSK_TRY(api::parse_json(line, subject));
  const api::Json* ok = api::member(answer, "ok");
  if (ok != nullptr && *ok == true) return answer;
  std::string error = HUSK_TRY(api::string_member(answer, "error", subject));
  return fail(ErrorKind::kBackend, subject, error.empty() ? "refuses" : std::move(error));
}

}  // namespace husk::control
