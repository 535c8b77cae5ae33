#include "oci/decompress.h"

#include <array>

#include "base/try.h"
#include "oci/archive_reader.h"

namespace husk::oci {
namespace {

constexpr size_t kMagicBytes = 6;

// Gives back the first bytes, which were read to look at them.
class PeekedSource final : public ByteSource {
 public:
  explicit PeekedSource(std::unique_ptr<ByteSource> inner) : inner_(std::move(inner)) {}

  [[nodiscard]] Result<void> peek() {
    while (end_ < kMagicBytes) {
      const size_t n = HUSK_TRY(inner_->read(std::span(head_).subspan(end_)));
      if (n == 0) break;
      end_ += n;
    }
    return {};
  }

  [[nodiscard]] std::string_view head() const {
    return {reinterpret_cast<const char*>(head_.data()), end_};
  }

  [[nodiscard]] Result<size_t> read(std::span<std::byte> buffer) override {
    if (begin_ == end_) return inner_->read(buffer);
    const size_t n = std::min(buffer.size(), end_ - begin_);
    std::memcpy(buffer.data(), head_.data() + begin_, n);
    begin_ += n;
    return n;
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  std::array<std::byte, kMagicBytes> head_{};
  size_t begin_ = 0;
  size_t end_ = 0;
};

class DecompressedSource final : public ByteSource {
 public:
  static Result<Decompressed> open(std::unique_ptr<ByteSource> inner, Compression compression,
                                   const std::string& subject) {
    auto source = std::make_unique<DecompressedSource>();
    source->inner_ = std::move(inner);
    source->reader_ = HUSK_TRY(ArchiveReader::open(*source->inner_,
                                                   compression == Compression::kGzip
                                                       ? ArchiveReader::Content::kGzip
                                                       : ArchiveReader::Content::kZstd,
                                                   subject));
    source->ended_ = HUSK_TRY(source->reader_->next()) == nullptr;
    return Decompressed{std::move(source), compression};
  }

  [[nodiscard]] Result<size_t> read(std::span<std::byte> buffer) override {
    if (ended_) return size_t{0};
    return reader_->read(buffer);
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  std::unique_ptr<ArchiveReader> reader_;
  bool ended_ = false;
};

bool starts_with(std::string_view head, std::initializer_list<unsigned char> magic) {
  if (head.size() < magic.size()) return false;
  return std::equal(magic.begin(), magic.end(), head.begin(),
                    [](unsigned char a, char b) { return a == static_cast<unsigned char>(b); });
}

}  // namespace

const char* compression_name(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return "gzip";
    case Compression::kZstd:
      return "zstd";
    case Compression::kNone:
      break;
  }
  return "no compression";
}

Result<Decompressed> decompress(std::unique_ptr<ByteSource> source, const std::string& subject) {
  auto peeked = std::make_unique<PeekedSource>(std::move(source));
  HUSK_TRY(peeked->peek());
  const std::string_view head = peeked->head();
  if (starts_with(head, {'B', 'Z', 'h'}) || starts_with(head, {0xfd, '7', 'z', 'X', 'Z', 0}))
    return fail(ErrorKind::kUnsupported, subject,
                "compressed with bzip2 or xz; expected gzip or zstd");
  if (starts_with(head, {0x1f, 0x8b}))  // RFC 1952 2.3.1
    return DecompressedSource::open(std::move(peeked), Compression::kGzip, subject);
  if (starts_with(head, {0x28, 0xb5, 0x2f, 0xfd}))  // RFC 8878 3.1.1
    return DecompressedSource::open(std::move(peeked), Compression::kZstd, subject);
  return Decompressed{std::move(peeked), Compression::kNone};
}

}  // namespace husk::oci
