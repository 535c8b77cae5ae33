// Content digests ("sha256:HEX", OCI image-spec descriptor.md) and the hashing behind them.
#pragma once

#include <openssl/sha.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "husk/error.h"

namespace husk::oci {

enum class DigestAlgorithm { kSha256, kSha512 };

struct Digest {
  DigestAlgorithm algorithm = DigestAlgorithm::kSha256;
  std::string hex;  // lower case, the algorithm's full length

  // kCorrupt names `subject` for anything that is not a complete sha256 or sha512 digest; a parsed
  // digest is therefore safe as a part of a file name.
  [[nodiscard]] static Result<Digest> parse(std::string_view text, const std::string& subject);

  [[nodiscard]] std::string algorithm_name() const;  // "sha256"
  [[nodiscard]] std::string text() const;            // "sha256:HEX"
  [[nodiscard]] std::string blob_path() const;       // "blobs/sha256/HEX", image-layout.md

  bool operator==(const Digest&) const = default;
};

// Hashes a stream.
class Hasher {
 public:
  explicit Hasher(DigestAlgorithm algorithm);
  void update(std::span<const std::byte> data);
  [[nodiscard]] Digest finish();  // once

 private:
  std::variant<SHA256_CTX, SHA512_CTX> state_;
};

[[nodiscard]] Digest digest_of(std::string_view data,
                               DigestAlgorithm algorithm = DigestAlgorithm::kSha256);

}  // namespace husk::oci
