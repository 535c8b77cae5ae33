// How an ACPI table is written down: little-endian fields, the standard header, the checksum
// (ACPI 6.5, 5.2).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace husk::boot {

using Bytes = std::vector<uint8_t>;

// Appends the low `width` bytes of `value`.
void put(Bytes& out, uint64_t value, int width);
// Appends `text`, filled up to `width` with spaces.
void put_text(Bytes& out, std::string_view text, size_t width);
void put_zeros(Bytes& out, size_t count);
void append(Bytes& out, const Bytes& more);

// The byte that makes the sum of all bytes 0.
[[nodiscard]] uint8_t checksum(std::span<const uint8_t> bytes);

// The standard header (5.2.6) and `body`, with the checksum in place.
[[nodiscard]] Bytes system_table(std::string_view signature, uint8_t revision, const Bytes& body);

}  // namespace husk::boot
