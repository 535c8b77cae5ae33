// Byte sources that judge what passes through them: content digests and size limits.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "oci/byte_source.h"
#include "oci/digest.h"

namespace husk::oci {

// Hashes and counts all that is read. More bytes than `size` is an error at once; the rest is known
// only at the end, so that nothing read may be relied on before finish() agreed.
class VerifiedSource final : public ByteSource {
 public:
  // `digest` and `size` are what the image promises, nullopt where it promises nothing.
  VerifiedSource(std::unique_ptr<ByteSource> inner, std::optional<Digest> digest,
                 std::optional<uint64_t> size, std::string subject);

  [[nodiscard]] Result<size_t> read(std::span<std::byte> buffer) override;

  // Reads what is left, then compares. Once.
  [[nodiscard]] Result<void> finish();

 private:
  std::unique_ptr<ByteSource> inner_;
  std::optional<Digest> digest_;
  std::optional<uint64_t> size_;
  std::string subject_;
  Hasher hasher_;
  uint64_t count_ = 0;
};

// Fails with kLimit once more than `left` bytes were asked through it; `left` is shared by all
// layers.
class LimitedSource final : public ByteSource {
 public:
  LimitedSource(std::unique_ptr<ByteSource> inner, uint64_t& left, std::string subject)
      : inner_(std::move(inner)), left_(left), subject_(std::move(subject)) {}

  [[nodiscard]] Result<size_t> read(std::span<std::byte> buffer) override;

 private:
  std::unique_ptr<ByteSource> inner_;
  uint64_t& left_;
  std::string subject_;
};

}  // namespace husk::oci
