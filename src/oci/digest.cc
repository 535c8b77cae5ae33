// The library's plain functions: its newer interface reads a configuration and looks all its
// algorithms up first, which takes longer than what a warm run has to hash.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "oci/digest.h"

#include <fmt/format.h>

#include <array>

namespace husk::oci {
namespace {

size_t hex_length(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::kSha256 ? 64 : 128;
}

bool is_complete_hex(std::string_view hex, DigestAlgorithm algorithm) {
  return hex.size() == hex_length(algorithm) &&
         hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void update_state(SHA256_CTX& state, std::span<const std::byte> data) {
  ::SHA256_Update(&state, data.data(), data.size());
}
void update_state(SHA512_CTX& state, std::span<const std::byte> data) {
  ::SHA512_Update(&state, data.data(), data.size());
}

template <size_t size>
std::string hex_of(const std::array<unsigned char, size>& raw) {
  std::string hex;
  for (const unsigned char byte : raw) hex += fmt::format("{:02x}", byte);
  return hex;
}

Digest finish_state(SHA256_CTX& state) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> raw{};
  ::SHA256_Final(raw.data(), &state);
  return {DigestAlgorithm::kSha256, hex_of(raw)};
}
Digest finish_state(SHA512_CTX& state) {
  std::array<unsigned char, SHA512_DIGEST_LENGTH> raw{};
  ::SHA512_Final(raw.data(), &state);
  return {DigestAlgorithm::kSha512, hex_of(raw)};
}

}  // namespace

Result<Digest> Digest::parse(std::string_view text, const std::string& subject) {
  for (const auto algorithm : {DigestAlgorithm::kSha256, DigestAlgorithm::kSha512}) {
    Digest digest{algorithm, {}};
    const std::string prefix = digest.algorithm_name() + ":";
    if (!text.starts_with(prefix)) continue;
    const std::string_view hex = text.substr(prefix.size());
    if (!is_complete_hex(hex, algorithm)) break;
    digest.hex = hex;
    return digest;
  }
  return fail(ErrorKind::kCorrupt, subject, "not a sha256 or sha512 digest");
}

std::string Digest::algorithm_name() const {
  return algorithm == DigestAlgorithm::kSha256 ? "sha256" : "sha512";
}

std::string Digest::text() const { return algorithm_name() + ":" + hex; }

std::string Digest::blob_path() const { return "blobs/" + algorithm_name() + "/" + hex; }

Hasher::Hasher(DigestAlgorithm algorithm) {
  if (algorithm == DigestAlgorithm::kSha256) {
    ::SHA256_Init(&state_.emplace<SHA256_CTX>());
  } else {
    ::SHA512_Init(&state_.emplace<SHA512_CTX>());
  }
}

void Hasher::update(std::span<const std::byte> data) {
  std::visit([&](auto& state) { update_state(state, data); }, state_);
}

Digest Hasher::finish() {
  return std::visit([](auto& state) { return finish_state(state); }, state_);
}

Digest digest_of(std::string_view data, DigestAlgorithm algorithm) {
  Hasher hasher(algorithm);
  hasher.update(std::as_bytes(std::span(data)));
  return hasher.finish();
}

}  // namespace husk::oci
