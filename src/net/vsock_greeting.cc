#include "net/vsock_greeting.h"

#include <charconv>

namespace husk::net {

std::optional<uint32_t> parse_greeting(std::string_view line) {
  constexpr std::string_view kVerb = "CONNECT ";
  if (!line.starts_with(kVerb)) return std::nullopt;
  const std::string_view number = line.substr(kVerb.size());
  uint32_t port = 0;
  const auto [end, error] = std::from_chars(number.begin(), number.end(), port);
  if (error != std::errc{} || end != number.end()) return std::nullopt;
  return port;
}

}  // namespace husk::net
