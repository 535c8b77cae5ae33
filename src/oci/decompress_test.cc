#include "oci/decompress.h"

#include <gmock/gmock.h>

#include "oci/testing/tar_builder.h"
#include "oci/verified_source.h"

namespace husk::oci {
namespace {

using ::testing::HasSubstr;

Result<std::string> drain(ByteSource& source) {
  std::string all;
  std::array<std::byte, 1000> buffer;
  while (true) {
    auto n = source.read(buffer);
    if (!n) return std::unexpected(n.error());
    if (*n == 0) return all;
    all.append(reinterpret_cast<const char*>(buffer.data()), *n);
  }
}

Result<std::string> decompressed(const std::string& data, Compression expected) {
  auto opened = decompress(std::make_unique<MemorySource>(data), "layer");
  if (!opened) return std::unexpected(opened.error());
  EXPECT_EQ(opened->compression, expected);
  return drain(*opened->source);
}

std::string noise(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return text;
}

TEST(Decompress, GoesByTheMagicNumber) {
  for (const std::string& data :
       {std::string(), std::string("a"), std::string("hello"), noise(1 << 20)}) {
    EXPECT_EQ(decompressed(data, Compression::kNone), data);
    EXPECT_EQ(decompressed(testing::gzip(data), Compression::kGzip), data);
    EXPECT_EQ(decompressed(testing::zstd(data), Compression::kZstd), data);
  }
}

TEST(Decompress, ReadsConcatenatedGzipMembers) {
  EXPECT_EQ(decompressed(testing::gzip("one") + testing::gzip("two"), Compression::kGzip),
            "onetwo");
}

TEST(Decompress, RefusesBrokenStreams) {
  const std::string data = noise(100000);
  for (const std::string& whole : {testing::gzip(data), testing::zstd(data)}) {
    const std::string cut = whole.substr(0, whole.size() / 2);
    auto opened = decompress(std::make_unique<MemorySource>(cut), "layer");
    const auto result = opened ? drain(*opened->source) : std::unexpected(opened.error());
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
    EXPECT_THAT(result.error().message(), HasSubstr("layer: "));
  }
  EXPECT_FALSE(decompress(std::make_unique<MemorySource>("\x1f\x8b nonsense"), "layer"));
}

TEST(Decompress, RefusesADoublyCompressedStream) {
  const std::string twice = testing::gzip(testing::gzip("data"));
  EXPECT_FALSE(decompress(std::make_unique<MemorySource>(twice), "layer"));
}

TEST(Decompress, NamesWhatItCannotRead) {
  const auto opened = decompress(std::make_unique<MemorySource>("BZh91AY&SY"), "layer");
  EXPECT_EQ(opened.error().kind, ErrorKind::kUnsupported);
}

TEST(VerifiedSource, AgreesWithWhatWasPromised) {
  VerifiedSource source(std::make_unique<MemorySource>("abc"), digest_of("abc"), 3, "blob");
  EXPECT_TRUE(source.finish());
}

TEST(VerifiedSource, RefusesAnotherContentOrSize) {
  VerifiedSource content(std::make_unique<MemorySource>("abd"), digest_of("abc"), 3, "blob");
  EXPECT_THAT(content.finish().error().message(), HasSubstr("digest mismatch"));
  VerifiedSource shorter(std::make_unique<MemorySource>("abc"), digest_of("abc"), 4, "blob");
  EXPECT_THAT(shorter.finish().error().message(), HasSubstr("has 3 bytes; the image states 4"));
  VerifiedSource longer(std::make_unique<MemorySource>("abc"), std::nullopt, 2, "blob");
  EXPECT_THAT(drain(longer).error().message(), HasSubstr("larger than the 2 bytes"));
}

TEST(LimitedSource, StopsABomb) {
  const std::string bomb = testing::gzip(std::string(10 << 20, '\0'));
  ASSERT_LT(bomb.size(), 100000U);
  uint64_t left = 1 << 20;
  auto opened = decompress(std::make_unique<MemorySource>(bomb), "layer");
  ASSERT_TRUE(opened);
  LimitedSource limited(std::move(opened->source), left, "layer");
  EXPECT_EQ(drain(limited).error().kind, ErrorKind::kLimit);
}

}  // namespace
}  // namespace husk::oci
