// The line that a peer begins with: "CONNECT PORT\n".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace husk::net {

constexpr size_t kMostGreeting = 32;  // bytes, the newline among them

// The port that the line, without its newline, asks for.
[[nodiscard]] std::optional<uint32_t> parse_greeting(std::string_view line);

}  // namespace husk::net
