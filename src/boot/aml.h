// A writer of ACPI Machine Language, as little of it as a DSDT of plain devices needs (ACPI 6.5,
// chapter 20). Each function gives the bytes of one term; terms nest.
//
//   aml::scope("\\_SB", {aml::device("COM1", {aml::name("_HID", aml::eisa_id("PNP0501")),
//                                             aml::resources({aml::io_ports(0x3f8, 8)})})})
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "boot/acpi_table.h"

namespace husk::boot::aml {

// Data (20.2.3).
[[nodiscard]] Bytes integer(uint64_t value);
[[nodiscard]] Bytes string(std::string_view text);
[[nodiscard]] Bytes buffer(const Bytes& contents);
[[nodiscard]] Bytes package(std::initializer_list<Bytes> elements);  // at most 255
// An EISA ID, three capitals and four hexadecimal digits, as the integer that _HID wants (19.3.4).
[[nodiscard]] Bytes eisa_id(std::string_view id);

// Named objects (20.2.5). A path is names of up to four characters with dots between them, "\\" for
// the root.
[[nodiscard]] Bytes name(std::string_view path, const Bytes& object);
[[nodiscard]] Bytes scope(std::string_view path, std::initializer_list<Bytes> terms);
[[nodiscard]] Bytes device(std::string_view path, std::initializer_list<Bytes> terms);

// A method with so many arguments, of terms that are each an operation (20.2.5.2, 20.2.5.3).
[[nodiscard]] Bytes method(std::string_view path, uint8_t arguments,
                           std::initializer_list<Bytes> terms);
[[nodiscard]] Bytes notify(std::string_view path, uint8_t value);

// Resource descriptors (6.4), and _CRS with a list of them.
enum class Trigger : uint8_t { kLevel, kEdge };
[[nodiscard]] Bytes memory32_fixed(uint32_t base, uint32_t size);
[[nodiscard]] Bytes qword_memory(uint64_t base, uint64_t size);
[[nodiscard]] Bytes interrupt(uint32_t gsi, Trigger trigger);  // active high, exclusive
[[nodiscard]] Bytes io_ports(uint16_t base, uint8_t count);
[[nodiscard]] Bytes resources(std::initializer_list<Bytes> descriptors);

}  // namespace husk::boot::aml
