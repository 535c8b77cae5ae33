#include "snapshot/sha256.h"

#include <openssl/evp.h>

namespace husk::snapshot {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

}  // namespace

Result<Sha256> sha256(std::span<const std::byte> data) {
  Sha256 digest{};
  unsigned size = 0;
  if (EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                 EVP_sha256(), nullptr) != 1)
    return fail(ErrorKind::kUnsupported, "SHA-256", "the cryptographic library refuses it");
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
