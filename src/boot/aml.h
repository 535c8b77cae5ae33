// A writer of ACPI Machine Language, as little of it as our DSDT needs (ACPI 6.5, chapter 20).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace husk::boot {

using Bytes = std::vector<uint8_t>;

namespace aml {

Bytes integer(uint64_t value);
Bytes string(std::string_view text);
Bytes package(std::span<const Bytes> elements);
Bytes buffer(const Bytes& contents);
// A name of four characters, or a path such as "\\_S5_".
Bytes name(std::string_view path, const Bytes& object);
Bytes scope(std::string_view path, const Bytes& contents);
Bytes device(std::string_view path, const Bytes& contents);
// An EISA ID such as "PNP0501" as the integer that _HID wants.
Bytes eisa_id(std::string_view id);

// Resource descriptors (6.4) and the buffer that closes a list of them.
Bytes memory32_fixed(uint32_t base, uint32_t size);
Bytes interrupt(uint32_t gsi, bool edge);
Bytes io_ports(uint16_t base, uint8_t count);
Bytes resources(std::span<const Bytes> descriptors);

Bytes concat(std::span<const Bytes> parts);

}  // namespace aml
}  // namespace husk::boot
