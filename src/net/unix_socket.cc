#include "net/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/try.h"

namespace husk::net {
namespace {

constexpr size_t kMostPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr int kBacklog = 128;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

base::Fd new_socket() {
  return base::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

bool bind_to(const base::Fd& socket, const std::string& path) {
  const sockaddr_un address = address_of(path);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

// What a process that was killed has left.
bool is_deserted(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0 || !S_ISSOCK(st.st_mode)) return false;
  const base::Fd probe = connect_to(path);
  return !probe.valid() && errno == ECONNREFUSED;
}

}  // namespace

Result<void> check_socket_path(const std::string& path, size_t suffix) {
  if (path.empty() || path.size() + suffix > kMostPath || path.find('\0') != std::string::npos)
    return fail(
        ErrorKind::kInvalidArgument, path,
        "not a socket's path: it has 1 to " + std::to_string(kMostPath - suffix) + " bytes");
  return {};
}

Result<base::Fd> listen_at(const std::string& path) {
  HUSK_TRY(check_socket_path(path, 0));
  base::Fd socket = new_socket();
  // Before it has a name: there is no moment at which others could connect.
  if (!socket.valid() || ::fchmod(socket.get(), S_IRUSR | S_IWUSR) != 0)
    return fail_errno(path, "cannot make a socket");
  bool bound = bind_to(socket, path);
  if (!bound && errno == EADDRINUSE) {
    if (!is_deserted(path)) return fail(ErrorKind::kState, path, "is in use");
    ::unlink(path.c_str());
    bound = bind_to(socket, path);
  }
  if (!bound) return fail_errno(path, "cannot make a socket");
  if (::listen(socket.get(), kBacklog) != 0) return fail_errno(path, "cannot listen");
  return socket;
}

base::Fd connect_to(const std::string& path) {
  base::Fd socket = new_socket();
  const sockaddr_un address = address_of(path);
  if (!socket.valid() ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0)
    return socket;
  const int error = errno;
  socket.reset();
  errno = error;
  return socket;
}

}  // namespace husk::net
