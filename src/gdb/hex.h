// Numbers and bytes as the remote protocol writes them: hexadecimal digits, two for a byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace husk::gdb {

using Bytes = std::vector<std::byte>;

[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);
// Without leading zeroes.
[[nodiscard]] std::string to_hex(uint64_t number);

// The whole text, and nothing else; nullopt otherwise.
[[nodiscard]] std::optional<Bytes> bytes_from_hex(std::string_view text);
[[nodiscard]] std::optional<uint64_t> number_from_hex(std::string_view text);

// What comes before the next `separator`, which goes too; without one, all of it.
[[nodiscard]] std::string_view take_until(std::string_view& text, char separator);

}  // namespace husk::gdb
