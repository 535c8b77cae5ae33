#include "boot/aml.h"

#include <vector>

namespace husk::boot::aml {
namespace {

enum Opcode : uint8_t {
  kZeroOp = 0x00,
  kOneOp = 0x01,
  kNameOp = 0x08,
  kBytePrefix = 0x0a,
  kWordPrefix = 0x0b,
  kDwordPrefix = 0x0c,
  kStringPrefix = 0x0d,
  kQwordPrefix = 0x0e,
  kScopeOp = 0x10,
  kBufferOp = 0x11,
  kPackageOp = 0x12,
  kMethodOp = 0x14,
  kDualNamePrefix = 0x2e,
  kMultiNamePrefix = 0x2f,
  kExtOpPrefix = 0x5b,
  kDeviceOp = 0x82,
  kNotifyOp = 0x86,
};

constexpr size_t kNameSegment = 4;

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) append(out, part);
  return out;
}

// The length counts itself: one byte up to 63; beyond, a byte with the number of more bytes and the
// length's low four bits, then the rest (20.2.4).
Bytes with_length(const Bytes& contents) {
  Bytes out;
  const size_t size = contents.size();
  if (size + 1 < 0x40) {
    put(out, size + 1, 1);
  } else {
    const int extra = size + 2 < 0x1000 ? 1 : size + 3 < 0x100000 ? 2 : 3;
    const uint64_t total = size + 1 + static_cast<size_t>(extra);
    put(out, static_cast<uint64_t>(extra) << 6 | (total & 0xf), 1);
    put(out, total >> 4, extra);
  }
  append(out, contents);
  return out;
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    const size_t dot = path.find('.');
    segments.push_back(path.substr(0, dot));
    path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
  }
  return segments;
}

// 20.2.2: names are filled up to four characters with '_'.
Bytes name_string(std::string_view path) {
  Bytes out;
  while (!path.empty() && (path[0] == '\\' || path[0] == '^')) {
    out.push_back(static_cast<uint8_t>(path[0]));
    path.remove_prefix(1);
  }
  const auto segments = split(path);
  if (segments.empty()) out.push_back(0);
  if (segments.size() == 2) out.push_back(kDualNamePrefix);
  if (segments.size() > 2) {
    out.push_back(kMultiNamePrefix);
    put(out, segments.size(), 1);
  }
  for (const std::string_view segment : segments) {
    for (size_t i = 0; i < kNameSegment; ++i)
      out.push_back(i < segment.size() ? static_cast<uint8_t>(segment[i]) : '_');
  }
  return out;
}

uint32_t hex_digit(char c) { return static_cast<uint32_t>(c <= '9' ? c - '0' : c - 'A' + 10); }

}  // namespace

Bytes integer(uint64_t value) {
  if (value <= 1) return {static_cast<uint8_t>(value == 0 ? kZeroOp : kOneOp)};
  const int width = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
  Bytes out{static_cast<uint8_t>(width == 1   ? kBytePrefix
                                 : width == 2 ? kWordPrefix
                                 : width == 4 ? kDwordPrefix
                                              : kQwordPrefix)};
  put(out, value, width);
  return out;
}

Bytes string(std::string_view text) {
  Bytes out{kStringPrefix};
  put_text(out, text, text.size());
  out.push_back(0);
  return out;
}

Bytes buffer(const Bytes& contents) {
  return join({{kBufferOp}, with_length(join({integer(contents.size()), contents}))});
}

Bytes package(std::initializer_list<Bytes> elements) {
  return join(
      {{kPackageOp}, with_length(join({{static_cast<uint8_t>(elements.size())}, join(elements)}))});
}

Bytes eisa_id(std::string_view id) {
  uint32_t value = 0;
  for (const char letter : id.substr(0, 3))
    value = value << 5 | static_cast<uint32_t>(letter - '@');
  for (const char digit : id.substr(3, 4)) value = value << 4 | hex_digit(digit);
  Bytes out{kDwordPrefix};
  put(out, __builtin_bswap32(value), 4);
  return out;
}

Bytes name(std::string_view path, const Bytes& object) {
  return join({{kNameOp}, name_string(path), object});
}

Bytes scope(std::string_view path, std::initializer_list<Bytes> terms) {
  return join({{kScopeOp}, with_length(join({name_string(path), join(terms)}))});
}

Bytes device(std::string_view path, std::initializer_list<Bytes> terms) {
  return join({{kExtOpPrefix, kDeviceOp}, with_length(join({name_string(path), join(terms)}))});
}

Bytes method(std::string_view path, uint8_t arguments, std::initializer_list<Bytes> terms) {
  return join({{kMethodOp}, with_length(join({name_string(path), {arguments}, join(terms)}))});
}

Bytes notify(std::string_view path, uint8_t value) {
  return join({{kNotifyOp}, name_string(path), integer(value)});
}

}  // namespace husk::boot::aml
