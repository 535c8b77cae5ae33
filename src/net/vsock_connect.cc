#include "net/vsock_connect.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/clock.h"
#include "base/try.h"
#include "net/unix_socket.h"
#include "net/vsock_greeting.h"

namespace husk::net {
namespace {

// The next byte, waited for until `deadline`; an error says what there was instead.
Result<char> read_byte(const base::Fd& stream, const std::string& subject, uint64_t deadline,
                       int giving_up) {
  for (;;) {
    char byte = 0;
    const ssize_t n = ::recv(stream.get(), &byte, 1, MSG_DONTWAIT);
    if (n == 1) return byte;
    if (n == 0 || errno == ECONNRESET)
      return fail(ErrorKind::kNotFound, subject, "nobody listens there in the guest");
    if (errno != EAGAIN && errno != EINTR) return fail_errno(subject, "cannot read");
    const uint64_t now = base::monotonic_ns();
    if (now >= deadline) return fail(ErrorKind::kTimeout, subject, "the guest has not answered");
    std::array<pollfd, 2> waits{pollfd{stream.get(), POLLIN, 0}, {giving_up, POLLIN, 0}};
    const uint64_t left_ms = (deadline - now) / 1'000'000 + 1;
    (void)::poll(waits.data(), waits.size(), static_cast<int>(std::min<uint64_t>(left_ms, 60'000)));
    if (waits[1].revents != 0)
      return fail(ErrorKind::kState, subject, "the connection is no longer wanted");
  }
}

}  // namespace

// Byte by byte: what is behind the line is the caller's.
Result<void> await_vsock(const base::Fd& stream, uint32_t port, const Patience& patience) {
  const std::string subject = "vsock port " + std::to_string(port);
  const uint64_t deadline = base::monotonic_ns() + patience.limit_ns;
  std::string line;
  while (line.size() < kMostGreeting) {
    const char byte = HUSK_TRY(read_byte(stream, subject, deadline, patience.giving_up));
    if (byte == '\n') break;
    line += byte;
  }
  if (line.starts_with("OK ") && line.size() < kMostGreeting) return {};
  return fail(ErrorKind::kCorrupt, subject, "the answer is none of a vsock's");
}

Result<base::Fd> connect_vsock(const std::string& path, uint32_t port, const Patience& patience) {
  HUSK_TRY(check_socket_path(path, 0));
  base::Fd stream = connect_to(path);
  if (!stream.valid()) return fail(ErrorKind::kNotFound, path, "no machine has its vsock there");
  const std::string greeting = "CONNECT " + std::to_string(port) + "\n";
  // It is the first: there is room for it.
  if (::send(stream.get(), greeting.data(), greeting.size(), MSG_DONTWAIT | MSG_NOSIGNAL) !=
      static_cast<ssize_t>(greeting.size()))
    return fail_errno(path, "cannot write");
  HUSK_TRY(await_vsock(stream, port, patience));
  return stream;
}

}  // namespace husk::net
