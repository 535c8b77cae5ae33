#include "boot/acpi_table.h"

#include <numeric>

namespace husk::boot {
namespace {

constexpr size_t kHeaderSize = 36, kChecksumAt = 9;

}  // namespace

void put(Bytes& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
}

void put_text(Bytes& out, std::string_view text, size_t width) {
  for (size_t i = 0; i < width; ++i)
    out.push_back(i < text.size() ? static_cast<uint8_t>(text[i]) : ' ');
}

void put_zeros(Bytes& out, size_t count) { out.resize(out.size() + count, 0); }

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

uint8_t checksum(std::span<const uint8_t> bytes) {
  return static_cast<uint8_t>(-std::accumulate(bytes.begin(), bytes.end(), 0));
}

Bytes system_table(std::string_view signature, uint8_t revision, const Bytes& body) {
  Bytes out;
  put_text(out, signature, 4);
  put(out, kHeaderSize + body.size(), 4);
  put(out, revision, 1);
  put(out, 0, 1);  // the checksum
  put_text(out, "HUSK", 6);
  put_text(out, "HUSKPC", 8);
  put(out, 1, 4);
  put_text(out, "HUSK", 4);
  put(out, 1, 4);
  append(out, body);
  out[kChecksumAt] = checksum(out);
  return out;
}

}  // namespace husk::boot
