#include "oci/prepare.h"

#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "oci/testing/erofs_reader.h"
#include "oci/testing/layout_builder.h"

namespace husk::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::LayoutBuilder;
using testing::TarBuilder;

std::vector<testing::TestLayer> two_layers() {
  return {testing::gzip_layer(TarBuilder().file("bin/sh", "shell").file("old", "x").bytes()),
          testing::zstd_layer(TarBuilder().file("etc/motd", "hello").file(".wh.old").bytes())};
}

class PrepareTest : public ::testing::Test {
 protected:
  PrepareTest() { options_.cache_directory = directory_ / "cache"; }

  Result<PreparedImage> prepare_text(const std::string& text) {
    const auto reference = parse_reference(text);
    if (!reference) return std::unexpected(reference.error());
    return prepare(*reference, options_);
  }
  Result<PreparedImage> prepare_layout(const LayoutBuilder& layout, const std::string& tag = "") {
    std::filesystem::remove_all(directory_ / "layout");
    layout.write(directory_ / "layout");
    return prepare_text("oci:" + directory_ / "layout" + tag);
  }
  // The message of a refusal, which leaves an empty cache.
  std::string refusal(const LayoutBuilder& layout) {
    const auto prepared = prepare_layout(layout);
    EXPECT_FALSE(prepared);
    EXPECT_THAT(cached(), IsEmpty());
    return prepared ? "" : prepared.error().message();
  }
  std::vector<std::string> cached() { return testing::listed(directory_ / "cache/images"); }
  static testing::ErofsReader read(const PreparedImage& image) {
    return testing::ErofsReader(testing::read_whole_file(image.root_path));
  }

  testing::TempDirectory directory_;
  PrepareOptions options_;
};

TEST_F(PrepareTest, MergesAnOciLayout) {
  const auto image = prepare_layout(LayoutBuilder().image(two_layers(), "latest"), ":latest");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_THAT(image->config.cmd, ElementsAre("/bin/sh"));
  EXPECT_FALSE(image->from_cache);
  EXPECT_TRUE(image->root.valid());
  const auto reader = read(*image);
  EXPECT_EQ(reader.files().at("bin/sh").content, "shell");
  EXPECT_EQ(reader.files().at("etc/motd").content, "hello");
  EXPECT_EQ(reader.files().count("old"), 0U);
  EXPECT_EQ(reader.files().count("proc"), 1U);
}

TEST_F(PrepareTest, TheSecondTimeNoLayerIsRead) {
  LayoutBuilder layout;
  layout.image(two_layers());
  const auto first = prepare_layout(layout);
  ASSERT_TRUE(first);
  for (const auto& layer : two_layers()) layout.files().erase(digest_of(layer.blob).blob_path());
  const auto second = prepare_layout(layout);
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_TRUE(second->from_cache);
  EXPECT_EQ(second->root_path, first->root_path);
  EXPECT_EQ(second->config, first->config);
}

TEST_F(PrepareTest, EveryTransportGivesTheSameTree) {
  LayoutBuilder layout;
  layout.image(two_layers(), "v1");
  const std::string config = testing::config_document(two_layers()).dump();
  TarBuilder docker;
  docker.file("l0.tar", two_layers()[0].tar)
      .file("l1.tar", two_layers()[1].blob)
      .file("c.json", config);
  docker.file("manifest.json",
              R"([{"Config":"c.json","RepoTags":["eco/app:v1"],"Layers":["l0.tar","l1.tar"]}])");
  testing::write_file(directory_ / "oci.tar", layout.tar());
  testing::write_file(directory_ / "oci.tar.gz", testing::gzip(layout.tar()));
  testing::write_file(directory_ / "docker.tar", docker.bytes());

  const auto from_layout = prepare_layout(layout, ":v1");
  ASSERT_TRUE(from_layout);
  for (const char* text :
       {"oci-archive:/oci.tar:v1", "oci-archive:/oci.tar.gz", "docker-archive:/docker.tar",
        "docker-archive:/docker.tar:eco/app:v1", "docker-archive:/docker.tar:@0"}) {
    std::string full(text);
    full.insert(full.find(":/") + 1, directory_.path());
    const auto image = prepare_text(full);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(image->config, from_layout->config);
    const auto reader = read(*image);
    EXPECT_EQ(reader.files().size(), read(*from_layout).files().size());
    EXPECT_EQ(reader.files().at("etc/motd").content, "hello");
    if (std::string(text).starts_with("docker")) {
      EXPECT_EQ(image->digest, digest_of(config).text());
    } else {
      EXPECT_TRUE(image->from_cache);
    }
  }
}

TEST_F(PrepareTest, IsDeterministic) {
  const auto first = prepare_layout(LayoutBuilder().image(two_layers()));
  ASSERT_TRUE(first);
  const std::string bytes = testing::read_whole_file(first->root_path);
  std::filesystem::remove(first->root_path);
  const auto second = prepare_layout(LayoutBuilder().image(two_layers()));
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->from_cache);
  EXPECT_TRUE(bytes == testing::read_whole_file(second->root_path));
}

TEST_F(PrepareTest, PicksThePlatform) {
  LayoutBuilder layout;
  auto config = testing::config_document(two_layers());
  config["architecture"] = "arm64";
  auto arm = layout.manifest(two_layers(), config);
  arm["platform"] = {{"architecture", "arm64"}, {"os", "linux"}};
  auto amd = layout.manifest(two_layers());
  amd["platform"] = {{"architecture", "amd64"}, {"os", "linux"}};
  layout.top(layout.index({arm, amd}));
  EXPECT_EQ(prepare_layout(layout)->config.architecture, "amd64");
  options_.architecture = "arm64";
  EXPECT_EQ(prepare_layout(layout)->config.architecture, "arm64");
  options_.architecture = "riscv64";
  EXPECT_THAT(prepare_layout(layout).error().message(), HasSubstr("linux/riscv64"));
}

TEST_F(PrepareTest, RefusesAnotherPlatformsConfiguration) {
  LayoutBuilder layout;
  auto config = testing::config_document(two_layers());
  config["architecture"] = "arm64";
  layout.top(layout.manifest(two_layers(), config));
  EXPECT_THAT(refusal(layout), HasSubstr("for linux/arm64, not linux/amd64"));
}

TEST_F(PrepareTest, EveryDocumentIsVerified) {
  LayoutBuilder whole;
  whole.image(two_layers());
  for (const auto& [name, content] : whole.files()) {
    if (!name.starts_with("blobs/")) continue;
    LayoutBuilder spoiled = whole;
    std::string& text = spoiled.files()[name];
    text[text.size() / 2] ^= 1;
    EXPECT_NE(refusal(spoiled), "") << name;
    spoiled.files()[name] = content + "x";
    EXPECT_NE(refusal(spoiled), "") << name;
    spoiled.files()[name] = content.substr(0, content.size() - 1);
    EXPECT_NE(refusal(spoiled), "") << name;
    spoiled.files().erase(name);
    EXPECT_THAT(refusal(spoiled), HasSubstr("has no " + name));
  }
}

TEST_F(PrepareTest, TheUncompressedLayerIsVerified) {
  LayoutBuilder layout;
  auto layers = two_layers();
  auto config = testing::config_document(layers);
  config["rootfs"]["diff_ids"][1] = digest_of("another").text();
  layout.top(layout.manifest(layers, config));
  EXPECT_THAT(refusal(layout),
              ::testing::AllOf(HasSubstr("layer 2"), HasSubstr("digest mismatch")));
}

// Another compressor's header, the same tar: only the blob's own digest can tell.
TEST_F(PrepareTest, TheStoredBlobIsVerifiedToo) {
  LayoutBuilder layout;
  layout.image({two_layers()[0]});
  std::string& blob = layout.files()[digest_of(two_layers()[0].blob).blob_path()];
  blob[9] = static_cast<char>(blob[9] + 1);  // RFC 1952: the operating system
  EXPECT_THAT(refusal(layout), HasSubstr("digest mismatch"));
}

TEST_F(PrepareTest, LayersAreWhatTheyAreDeclared) {
  auto layers = two_layers();
  layers[0].media_type = layers[1].media_type;
  EXPECT_THAT(refusal(LayoutBuilder().image(layers)),
              HasSubstr("declared as zstd, but found gzip"));
  layers[0].media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
  layers[1].media_type = layers[0].media_type;  // Docker goes by the magic number
  EXPECT_TRUE(prepare_layout(LayoutBuilder().image(layers)));
}

TEST_F(PrepareTest, RefusesOtherLayers) {
  auto layers = two_layers();
  layers[0].media_type = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
  EXPECT_THAT(refusal(LayoutBuilder().image(layers)), HasSubstr("encrypted"));
  layers[0].media_type = "text/plain";
  EXPECT_THAT(refusal(LayoutBuilder().image(layers)), HasSubstr("media type 'text/plain'"));
  LayoutBuilder fewer;
  auto config = testing::config_document(two_layers());
  config["rootfs"]["diff_ids"].erase(1);
  fewer.top(fewer.manifest(two_layers(), config));
  EXPECT_THAT(refusal(fewer), HasSubstr("2 layers, but its configuration lists 1"));
}

TEST_F(PrepareTest, HostileLayersAreNamed) {
  const auto hostile = testing::gzip_layer(TarBuilder().file("../evil").bytes());
  EXPECT_THAT(refusal(LayoutBuilder().image({two_layers()[0], hostile})),
              ::testing::AllOf(HasSubstr("layer 2 (sha256:"), HasSubstr("../evil")));
}

TEST_F(PrepareTest, BombsAreStopped) {
  options_.limits.layer_bytes = 1 << 20;
  const auto bomb =
      testing::gzip_layer(TarBuilder().file("big", std::string(5 << 20, '\0')).bytes());
  EXPECT_THAT(refusal(LayoutBuilder().image({bomb})), HasSubstr("limit"));
}

TEST_F(PrepareTest, OddLayoutsAreRefused) {
  LayoutBuilder layout;
  layout.image(two_layers());
  layout.files()["oci-layout"] = R"({"imageLayoutVersion":"2.0"})";
  EXPECT_THAT(refusal(layout), HasSubstr("version '2.0'"));
  layout.files().erase("oci-layout");
  EXPECT_THAT(refusal(layout), HasSubstr("has no oci-layout"));
  EXPECT_THAT(prepare_text("oci:" + directory_ / "none").error().message(),
              HasSubstr("no such image"));
}

TEST_F(PrepareTest, ManyBuildersOfOneImageAgree) {
  LayoutBuilder().image(two_layers()).write(directory_ / "layout");
  std::vector<std::thread> threads;
  threads.reserve(8);
  std::array<std::string, 8> paths;
  for (std::string& path : paths)
    threads.emplace_back([&] {
      const auto image = prepare_text("oci:" + directory_ / "layout");
      path = image ? image->root_path : image.error().message();
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& path : paths) EXPECT_EQ(path, paths[0]);
  EXPECT_EQ(cached().size(), 1U);
}

// A file system of 1 MiB; needs the right to mount, at least inside a user namespace.
bool enter_small_file_system(const std::string& directory) {
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=1m") == 0;
}

TEST_F(PrepareTest, AFullDiskIsAClearErrorAndLeavesNothing) {
  const auto layer =
      testing::gzip_layer(TarBuilder().file("big", std::string(3 << 20, 'x')).bytes());
  LayoutBuilder().image({layer}).write(directory_ / "layout");
  std::filesystem::create_directory(options_.cache_directory);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!enter_small_file_system(options_.cache_directory)) ::_exit(2);
    const auto image = prepare_text("oci:" + directory_ / "layout");
    const bool clear = !image && image.error().os_errno == ENOSPC;
    ::_exit(clear && cached().empty() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "cannot mount a small file system";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace husk::oci
