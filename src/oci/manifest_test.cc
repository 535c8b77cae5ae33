#include "oci/manifest.h"

#include <gmock/gmock.h>

#include "oci/limits.h"
#include "oci/testing/layout_builder.h"

namespace husk::oci {
namespace {

using ::testing::HasSubstr;

constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* kIndexType = "application/vnd.oci.image.index.v1+json";

Descriptor described(const std::string& content, const std::string& media_type = kManifestType) {
  return {media_type, digest_of(content), content.size(), {}, {}};
}
Descriptor tagged(const std::string& tag) {
  Descriptor descriptor = described(tag);
  descriptor.ref_name = tag;
  return descriptor;
}
Descriptor built_for(const std::string& architecture, const std::string& os = "linux") {
  Descriptor descriptor = described(architecture + os);
  descriptor.platform = Platform{architecture, os};
  return descriptor;
}

Result<Descriptor> choose(const std::vector<Descriptor>& top, const std::string& tag) {
  return select_manifest(top, {tag, "amd64"}, "oci:x",
                         [](const Descriptor&) -> Result<std::string> {
                           return fail(ErrorKind::kIo, "read", "nothing to read");
                         });
}

TEST(Manifest, ReadsBothDialects) {
  testing::LayoutBuilder builder;
  builder.image({testing::gzip_layer("a"), testing::plain_layer("b")});
  for (const auto& [name, text] : builder.files()) {
    if (text.find("\"layers\":[{") == std::string::npos) continue;
    const auto manifest = parse_manifest(text, "m");
    ASSERT_TRUE(manifest) << manifest.error().message();
    EXPECT_EQ(manifest->layers.size(), 2U);
    EXPECT_EQ(manifest->layers[1].digest, digest_of("b"));
    EXPECT_EQ(manifest->layers[1].size, 1U);
  }
  const std::string docker =
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
          "config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":1,"digest":")" +
      digest_of("x").text() + R"("},"layers":[]})";
  EXPECT_TRUE(parse_manifest(docker, "m"));
}

TEST(Manifest, RefusesTheAmbiguousAndTheIncomplete) {
  const std::string config = R"("config":{"digest":")" + digest_of("x").text() + R"(","size":1})";
  EXPECT_TRUE(parse_manifest("{" + config + R"(,"layers":[]})", "m"));
  EXPECT_FALSE(parse_manifest("{" + config + R"(,"layers":[],"manifests":[]})", "m"));
  EXPECT_FALSE(parse_index("{" + config + R"(,"layers":[],"manifests":[]})", "m"));
  EXPECT_FALSE(parse_manifest("{" + config + "}", "m"));
  EXPECT_FALSE(parse_manifest(R"({"layers":[]})", "m"));
  EXPECT_FALSE(parse_manifest("{" + config + R"(,"layers":{}})", "m"));
  EXPECT_FALSE(parse_manifest("{" + config + R"(,"layers":[7]})", "m"));
  EXPECT_FALSE(
      parse_manifest("{" + config + R"(,"layers":[{"digest":"sha256:00","size":1}]})", "m"));
  EXPECT_FALSE(
      parse_manifest("{" + config + R"(,"layers":[],"mediaType":")" + kIndexType + "\"}", "m"));
  EXPECT_EQ(parse_manifest(R"({"schemaVersion":1,"fsLayers":[]})", "m").error().kind,
            ErrorKind::kUnsupported);
  EXPECT_FALSE(parse_index("{}", "i"));
  EXPECT_FALSE(parse_index(R"({"manifests":[{}]})", "i"));
}

TEST(Manifest, LayersAreLimited) {
  const std::string descriptor = R"({"digest":")" + digest_of("x").text() + R"(","size":1})";
  std::string text = R"({"config":)" + descriptor + R"(,"layers":[)" + descriptor;
  for (size_t i = 0; i < kMaxLayers; ++i) text += "," + descriptor;
  EXPECT_EQ(parse_manifest(text + "]}", "m").error().kind, ErrorKind::kLimit);
}

TEST(SelectManifest, TheOnlyImageNeedsNoTag) {
  EXPECT_EQ(choose({tagged("v1")}, "")->digest, tagged("v1").digest);
  EXPECT_EQ(choose({tagged("v1"), tagged("latest")}, "")->digest, tagged("latest").digest);
  EXPECT_EQ(choose({tagged("v1"), tagged("v2")}, "v2")->digest, tagged("v2").digest);
}

TEST(SelectManifest, ErrorsListTheTags) {
  const auto ambiguous = choose({tagged("v1"), tagged("v2")}, "");
  ASSERT_FALSE(ambiguous);
  EXPECT_THAT(ambiguous.error().message(), HasSubstr("v1, v2"));
  const auto absent = choose({tagged("v1")}, "v3");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(absent.error().message(), HasSubstr("oci:x: no image tagged 'v3' (tags: v1)"));
  EXPECT_THAT(choose({}, "").error().message(), HasSubstr("holds no image"));
  EXPECT_FALSE(choose({described("a"), described("b")}, ""));
}

TEST(SelectManifest, ThePlatformDecides) {
  const std::vector<Descriptor> top{built_for("arm64"), built_for("unknown", "unknown"),
                                    built_for("amd64"), built_for("amd64", "windows")};
  EXPECT_EQ(choose(top, "")->digest, built_for("amd64").digest);
  const auto none = choose({built_for("arm64")}, "");
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message(), HasSubstr("linux/amd64"));
}

TEST(SelectManifest, AStatedPlatformIsBetterThanNone) {
  std::vector<Descriptor> top{described("any"), built_for("amd64")};
  for (Descriptor& descriptor : top) descriptor.ref_name = "v1";
  EXPECT_EQ(choose(top, "v1")->digest, built_for("amd64").digest);
}

TEST(SelectManifest, FollowsIndexesButNotForever) {
  const std::string inner = R"({"manifests":[{"mediaType":")" + std::string(kManifestType) +
                            R"(","size":1,"digest":")" + digest_of("m").text() + R"("}]})";
  const auto found =
      select_manifest({described(inner, kIndexType)}, {"", "amd64"}, "oci:x",
                      [&](const Descriptor&) -> Result<std::string> { return inner; });
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->digest, digest_of("m"));

  const std::string loop = R"({"manifests":[{"mediaType":")" + std::string(kIndexType) +
                           R"(","size":1,"digest":")" + digest_of("m").text() + R"("}]})";
  const auto endless =
      select_manifest({described(loop, kIndexType)}, {"", "amd64"}, "oci:x",
                      [&](const Descriptor&) -> Result<std::string> { return loop; });
  EXPECT_EQ(endless.error().kind, ErrorKind::kLimit);
}

TEST(SelectManifest, RefusesOtherArtifacts) {
  const auto other = choose({described("chart", "application/vnd.cncf.helm.config.v1+json")}, "");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace husk::oci
