// Unix stream sockets by path.
#pragma once

#include <string>

#include "husk/error.h"

#include "base/fd.h"

namespace husk::net {

// A path that can be a socket's address, with `suffix` further bytes behind it.
[[nodiscard]] Result<void> check_socket_path(const std::string& path, size_t suffix);

// Listens at `path`, for the user alone. A socket that nobody listens at any more is replaced.
[[nodiscard]] Result<base::Fd> listen_at(const std::string& path);

// Connects without waiting: invalid if nobody listens there, or too many wait already.
[[nodiscard]] base::Fd connect_to(const std::string& path);

}  // namespace husk::net
