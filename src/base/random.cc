#include "base/random.h"

#include <sys/random.h>

#include <cerrno>

namespace husk::base {

Result<void> fill_random(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::getrandom(bytes.data(), bytes.size(), 0);
    if (n < 0 && errno != EINTR) return fail_errno("random numbers", "the host gives none");
    if (n > 0) bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Result<std::string> random_bytes(size_t count) {
  std::string bytes(count, '\0');
  if (auto filled = fill_random(std::as_writable_bytes(std::span(bytes))); !filled)
    return std::unexpected(filled.error());
  return bytes;
}

}  // namespace husk::base
