// The library's plain functions, as in oci/digest.cc.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "snapshot/sha256.h"

#include <openssl/sha.h>

namespace husk::snapshot {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

}  // namespace

Sha256 sha256(std::span<const std::byte> data) {
  SHA256_CTX state;
  ::SHA256_Init(&state);
  ::SHA256_Update(&state, data.data(), data.size());
  Sha256 digest{};
  ::SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), &state);
  return digest;
}

std::string to_hex(const Sha256& digest) {
  std::string text;
  for (const std::byte byte : digest) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

std::optional<Sha256> from_hex(std::string_view text) {
  Sha256 digest{};
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t digit = kDigits.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    digest[i / 2] |= static_cast<std::byte>(i % 2 == 0 ? digit << 4 : digit);
  }
  return digest;
}

}  // namespace husk::snapshot
