#include "oci/digest.h"

#include <gtest/gtest.h>

namespace husk::oci {
namespace {

// FIPS 180-2 appendix B.1 and C.1: the message "abc".
constexpr const char* kSha256OfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kSha512OfAbc =
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

TEST(Digest, HashesTheStandardsExample) {
  EXPECT_EQ(digest_of("abc").text(), std::string("sha256:") + kSha256OfAbc);
  EXPECT_EQ(digest_of("abc", DigestAlgorithm::kSha512).text(),
            std::string("sha512:") + kSha512OfAbc);
}

TEST(Digest, PiecesHashAsTheWhole) {
  Hasher hasher(DigestAlgorithm::kSha256);
  for (const char c : {'a', 'b', 'c'}) hasher.update(std::as_bytes(std::span(&c, 1)));
  EXPECT_EQ(hasher.finish().hex, kSha256OfAbc);
}

TEST(Digest, ParsesWhatItPrints) {
  for (const auto algorithm : {DigestAlgorithm::kSha256, DigestAlgorithm::kSha512}) {
    const Digest digest = digest_of("x", algorithm);
    EXPECT_EQ(Digest::parse(digest.text(), "test"), digest);
  }
  EXPECT_EQ(digest_of("abc").blob_path(), std::string("blobs/sha256/") + kSha256OfAbc);
}

TEST(Digest, RefusesWhatCouldLeaveTheBlobDirectory) {
  std::string upper = digest_of("abc").text();
  upper[10] = 'A';
  for (const std::string& text :
       {std::string(), std::string("sha256:"), std::string("sha256:../../etc/passwd"), upper,
        std::string("md5:d41d8cd98f00b204e9800998ecf8427e"), digest_of("abc").text() + "0",
        "sha512:" + digest_of("abc").hex, digest_of("abc").hex})
    EXPECT_FALSE(Digest::parse(text, "test")) << text;
}

}  // namespace
}  // namespace husk::oci
