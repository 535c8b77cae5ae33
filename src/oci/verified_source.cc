#include "oci/verified_source.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/try.h"

namespace husk::oci {

VerifiedSource::VerifiedSource(std::unique_ptr<ByteSource> inner, std::optional<Digest> digest,
                               std::optional<uint64_t> size, std::string subject)
    : inner_(std::move(inner)),
      digest_(std::move(digest)),
      size_(size),
      subject_(std::move(subject)),
      hasher_(digest_ ? digest_->algorithm : DigestAlgorithm::kSha256) {}

Result<size_t> VerifiedSource::read(std::span<std::byte> buffer) {
  const size_t n = HUSK_TRY(inner_->read(buffer));
  count_ += n;
  if (size_ && count_ > *size_)
    return fail(ErrorKind::kCorrupt, subject_,
                fmt::format("is larger than the {} bytes that the image states", *size_));
  if (digest_) hasher_.update(buffer.first(n));
  return n;
}

Result<void> VerifiedSource::finish() {
  std::vector<std::byte> rest(size_t{64} << 10);
  while (HUSK_TRY(read(rest)) != 0) {
  }
  if (size_ && count_ != *size_)
    return fail(ErrorKind::kCorrupt, subject_,
                fmt::format("has {} bytes; the image states {}", count_, *size_));
  if (!digest_) return {};
  const Digest actual = hasher_.finish();
  if (actual == *digest_) return {};
  return fail(
      ErrorKind::kCorrupt, subject_,
      fmt::format("digest mismatch: expected {}, found {}", digest_->text(), actual.text()));
}

Result<size_t> LimitedSource::read(std::span<std::byte> buffer) {
  const size_t n = HUSK_TRY(inner_->read(buffer));
  if (n > left_)
    return fail(ErrorKind::kLimit, subject_,
                "the image's layers exceed the limit on uncompressed bytes");
  left_ -= n;
  return n;
}

}  // namespace husk::oci
