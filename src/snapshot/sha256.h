// SHA-256 (FIPS 180-4), by which everything in a snapshot is named and checked.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace husk::snapshot {

using Sha256 = std::array<std::byte, 32>;

[[nodiscard]] Sha256 sha256(std::span<const std::byte> data);

// 64 lower-case digits; nothing else is read back.
[[nodiscard]] std::string to_hex(const Sha256& digest);
[[nodiscard]] std::optional<Sha256> from_hex(std::string_view text);

}  // namespace husk::snapshot
