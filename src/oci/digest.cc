#include "oci/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

namespace husk::oci {
namespace {

const EVP_MD* implementation(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::kSha256 ? EVP_sha256() : EVP_sha512();
}

size_t hex_length(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::kSha256 ? 64 : 128;
}

bool is_complete_hex(std::string_view hex, DigestAlgorithm algorithm) {
  return hex.size() == hex_length(algorithm) &&
         hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

EVP_MD_CTX* as_context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

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

void Hasher::Free::operator()(void* context) const { EVP_MD_CTX_free(as_context(context)); }

Hasher::Hasher(DigestAlgorithm algorithm) : algorithm_(algorithm), context_(EVP_MD_CTX_new()) {
  ok_ = context_ != nullptr &&
        EVP_DigestInit_ex(as_context(context_.get()), implementation(algorithm), nullptr) == 1;
}

void Hasher::update(std::span<const std::byte> data) {
  ok_ = ok_ && EVP_DigestUpdate(as_context(context_.get()), data.data(), data.size()) == 1;
}

Digest Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned size = 0;
  ok_ = ok_ && EVP_DigestFinal_ex(as_context(context_.get()), raw.data(), &size) == 1;
  Digest digest{algorithm_, {}};
  if (!ok_) return digest;
  for (unsigned i = 0; i < size; ++i) digest.hex += fmt::format("{:02x}", raw[i]);
  return digest;
}

Digest digest_of(std::string_view data, DigestAlgorithm algorithm) {
  Hasher hasher(algorithm);
  hasher.update(std::as_bytes(std::span(data)));
  return hasher.finish();
}

}  // namespace husk::oci
