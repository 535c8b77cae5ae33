// Content digests ("sha256:HEX", OCI image-spec descriptor.md) and the hashing behind them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

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

// Hashes a stream. Should the library refuse to hash, finish() yields a digest that equals no
// parsed one.
class Hasher {
 public:
  explicit Hasher(DigestAlgorithm algorithm);
  void update(std::span<const std::byte> data);
  [[nodiscard]] Digest finish();  // once

 private:
  struct Free {
    void operator()(void* context) const;
  };
  DigestAlgorithm algorithm_;
  std::unique_ptr<void, Free> context_;  // EVP_MD_CTX
  bool ok_ = false;
};

[[nodiscard]] Digest digest_of(std::string_view data,
                               DigestAlgorithm algorithm = DigestAlgorithm::kSha256);

}  // namespace husk::oci
