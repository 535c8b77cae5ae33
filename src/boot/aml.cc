#include "boot/aml.h"

#include <cctype>

namespace husk::boot::aml {
namespace {

enum Opcode : uint8_t {
  kZero = 0x00,
  kOne = 0x01,
  kName = 0x08,
  kByte = 0x0a,
  kWord = 0x0b,
  kDword = 0x0c,
  kString = 0x0d,
  kQword = 0x0e,
  kScope = 0x10,
  kBuffer = 0x11,
  kPackage = 0x12,
  kExtended = 0x5b,
  kDevice = 0x82,
};

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

void append_number(Bytes& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
}

// PkgLength counts itself; one byte up to 63, then two to four with the low nibble in the first
// (20.2.4).
Bytes with_length(const Bytes& contents) {
  Bytes out;
  const size_t size = contents.size();
  if (size + 1 < 0x40) {
    out.push_back(static_cast<uint8_t>(size + 1));
  } else {
    const int extra = size + 2 < 0x1000 ? 1 : size + 3 < 0x100000 ? 2 : 3;
    const size_t total = size + 1 + static_cast<size_t>(extra);
    out.push_back(static_cast<uint8_t>(extra << 6 | (total & 15)));
    append_number(out, total >> 4, extra);
  }
  append(out, contents);
  return out;
}

Bytes name_string(std::string_view path) { return {path.begin(), path.end()}; }

Bytes block(std::initializer_list<uint8_t> opcode, std::string_view path, const Bytes& contents) {
  Bytes body = name_string(path);
  append(body, contents);
  Bytes out(opcode);
  append(out, with_length(body));
  return out;
}

}  // namespace

Bytes concat(std::span<const Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) append(out, part);
  return out;
}

Bytes integer(uint64_t value) {
  if (value <= 1) return {static_cast<uint8_t>(value == 0 ? kZero : kOne)};
  Bytes out;
  if (value <= 0xff) {
    out = {kByte};
    append_number(out, value, 1);
  } else if (value <= 0xffff) {
    out = {kWord};
    append_number(out, value, 2);
  } else if (value <= 0xffffffff) {
    out = {kDword};
    append_number(out, value, 4);
  } else {
    out = {kQword};
    append_number(out, value, 8);
  }
  return out;
}

Bytes string(std::string_view text) {
  Bytes out{kString};
  append(out, name_string(text));
  out.push_back(0);
  return out;
}

Bytes package(std::span<const Bytes> elements) {
  Bytes body{static_cast<uint8_t>(elements.size())};
  append(body, concat(elements));
  Bytes out{kPackage};
  append(out, with_length(body));
  return out;
}

Bytes buffer(const Bytes& contents) {
  Bytes body = integer(contents.size());
  append(body, contents);
  Bytes out{kBuffer};
  append(out, with_length(body));
  return out;
}

Bytes name(std::string_view path, const Bytes& object) {
  Bytes out{kName};
  append(out, name_string(path));
  append(out, object);
  return out;
}

Bytes scope(std::string_view path, const Bytes& contents) {
  return block({kScope}, path, contents);
}
Bytes device(std::string_view path, const Bytes& contents) {
  return block({kExtended, kDevice}, path, contents);
}

// Three letters of five bits and four hexadecimal digits, big-endian (19.3.4).
Bytes eisa_id(std::string_view id) {
  uint32_t value = 0;
  for (size_t i = 0; i < 3; ++i) value = value << 5 | static_cast<uint32_t>(id[i] - '@');
  for (size_t i = 3; i < 7; ++i) {
    const char digit = id[i];
    value = value << 4 | static_cast<uint32_t>(std::isdigit(static_cast<unsigned char>(digit))
                                                   ? digit - '0'
                                                   : digit - 'A' + 10);
  }
  Bytes out{kDword};
  append_number(out, __builtin_bswap32(value), 4);
  return out;
}

Bytes memory32_fixed(uint32_t base, uint32_t size) {
  Bytes out{0x86, 9, 0, 1};  // length 9, read-write
  append_number(out, base, 4);
  append_number(out, size, 4);
  return out;
}

Bytes interrupt(uint32_t gsi, bool edge) {
  Bytes out{0x89, 6, 0, static_cast<uint8_t>(1 | (edge ? 2 : 0)),
            1};  // consumer, active high, exclusive, one
  append_number(out, gsi, 4);
  return out;
}

Bytes io_ports(uint16_t base, uint8_t count) {
  Bytes out{0x47, 1};  // decodes 16 bits
  append_number(out, base, 2);
  append_number(out, base, 2);
  out.push_back(1);
  out.push_back(count);
  return out;
}

Bytes resources(std::span<const Bytes> descriptors) {
  Bytes list = concat(descriptors);
  list.push_back(0x79);  // end tag
  list.push_back(0);
  return name("_CRS", buffer(list));
}

}  // namespace husk::boot::aml
