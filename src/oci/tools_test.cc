// Against the tools that others make images and file systems with; skipped where they are not
// installed.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>

#include "oci/prepare.h"
#include "oci/testing/erofs_reader.h"
#include "oci/testing/layout_builder.h"

namespace husk::oci {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::ErofsReader;
using testing::LayoutBuilder;
using testing::TarBuilder;

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}
bool installed(const std::string& tool) { return run("command -v " + tool); }

// Every file below `root` is in the image with the same content, and the reverse, but for `added`:
// what Husk adds to an image.
void expect_same_tree(const fs::path& root, const ErofsReader& image,
                      const std::vector<std::string>& added) {
  size_t count = 1;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string path = entry.path().lexically_relative(root).string();
    ++count;
    ASSERT_EQ(image.files().count(path), 1U) << path;
    const auto& file = image.files().at(path);
    struct stat st{};
    ASSERT_EQ(::lstat(entry.path().c_str(), &st), 0);
    EXPECT_EQ(file.mode, st.st_mode) << path;
    EXPECT_EQ(file.mtime, static_cast<uint64_t>(st.st_mtim.tv_sec)) << path;
    if (S_ISREG(st.st_mode)) {
      EXPECT_TRUE(file.content == testing::read_whole_file(entry.path())) << path;
    }
    if (S_ISLNK(st.st_mode)) {
      EXPECT_EQ(file.content, fs::read_symlink(entry.path()).string()) << path;
    }
    if (!S_ISDIR(st.st_mode)) {
      EXPECT_EQ(file.nlink, st.st_nlink) << path;
    }
  }
  for (const std::string& path : added)
    count += fs::exists(fs::symlink_status(root / path)) ? 0 : 1;
  EXPECT_EQ(image.files().size(), count);
}

const std::vector<std::string> kAdded{
    "dev", "etc", "proc", "run", "sys", "tmp", "etc/hostname", "etc/hosts", "etc/resolv.conf"};

class ToolsTest : public ::testing::Test {
 protected:
  Result<PreparedImage> prepare_text(const std::string& text) {
    const auto reference = parse_reference(text);
    if (!reference) return std::unexpected(reference.error());
    PrepareOptions options;
    options.cache_directory = directory_ / "cache";
    return prepare(*reference, options);
  }
  // With the test's directory as the working directory.
  bool in_directory(const std::string& command) {
    return run("cd " + directory_.path() + " && " + command);
  }
  testing::TempDirectory directory_;
};

TEST_F(ToolsTest, FsckExtractsWhatWasWritten) {
  if (!installed("fsck.erofs")) GTEST_SKIP() << "no fsck.erofs";
  TarBuilder tar;
  tar.directory("bin", 01777)
      .add({.name = "bin/sh", .mode = 0751, .mtime = 1000}, std::string(5000, 's'));
  tar.hard_link("bin/dash", "bin/sh")
      .symlink("bin/ash", "sh")
      .symlink("long", std::string(3000, 'l'));
  tar.pax({{"SCHILY.xattr.user.a", "value"}, {"mtime", "77.25"}}).file("attributes", "x");
  tar.pax({{"SCHILY.xattr.user.b", std::string(5000, 'v')}})
      .file("many attributes", std::string(9000, 'y'));
  for (unsigned i = 0; i < 700; ++i)
    tar.file("names/" + std::string(i % 200 + 1, 'n') + std::to_string(i),
             std::string(size_t{13} * i, 'f'));
  LayoutBuilder().image({testing::gzip_layer(tar.bytes())}).write(directory_ / "layout");
  const auto image = prepare_text("oci:" + directory_ / "layout");
  ASSERT_TRUE(image) << image.error().message();
  ASSERT_TRUE(
      in_directory("fsck.erofs --extract=out --preserve-perms --force " + image->root_path));
  const ErofsReader reader(testing::read_whole_file(image->root_path));
  for (const auto& [path, file] : reader.files()) {
    const std::string out = directory_ / "out/" + path;
    struct stat st{};
    ASSERT_EQ(::lstat(out.c_str(), &st), 0) << path;
    EXPECT_EQ(st.st_mode, file.mode) << path;
    EXPECT_EQ(static_cast<uint64_t>(st.st_mtim.tv_sec), file.mtime) << path;
    if (S_ISREG(file.mode)) {
      EXPECT_TRUE(testing::read_whole_file(out) == file.content) << path;
    }
    if (S_ISLNK(file.mode)) {
      EXPECT_EQ(fs::read_symlink(out).string(), file.content) << path;
    }
  }
}

class ImageToolsTest : public ToolsTest {
 protected:
  void SetUp() override {
    if (!installed("skopeo") || !installed("umoci")) GTEST_SKIP() << "no skopeo or umoci";
    testing::write_file(directory_ / "rootfs/bin/tool", std::string(10000, 't'));
    testing::write_file(directory_ / "rootfs/bin/gone", "x");
    testing::write_file(directory_ / "rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    fs::create_symlink("tool", directory_ / "rootfs/bin/alias");
    fs::create_hard_link(directory_ / "rootfs/bin/tool", directory_ / "rootfs/bin/twin");
    testing::write_file(directory_ / "second", "two");
    ASSERT_TRUE(in_directory("umoci init --layout im && umoci new --image im:latest"));
    ASSERT_TRUE(in_directory("umoci insert --rootless --image im:latest rootfs /"));
    ASSERT_TRUE(
        in_directory("umoci config --image im:latest --config.cmd /bin/tool --config.env A=b "
                     "--config.user 7:8 --config.workingdir /srv --config.stopsignal SIGHUP "
                     "--config.label k=v --config.volume /data --architecture amd64 --os linux"));
    ASSERT_TRUE(
        in_directory("umoci insert --rootless --image im:latest --tag v2 second /etc/second"));
    ASSERT_TRUE(in_directory("umoci insert --rootless --image im:v2 --whiteout /bin/gone"));
    ASSERT_TRUE(in_directory("umoci unpack --rootless --image im:v2 bundle"));
  }
};

TEST_F(ImageToolsTest, EveryFormatOfSkopeoGivesUmocisTree) {
  for (const std::string& copy :
       {std::string("oci:copy:v2"), std::string("oci-archive:copy.tar:v2"),
        std::string("docker-archive:docker.tar:eco/app:v2"), std::string("oci:zstd:v2")}) {
    const std::string options =
        copy.starts_with("oci:zstd") ? "--dest-compress --dest-compress-format zstd " : "";
    ASSERT_TRUE(in_directory(std::string("skopeo --insecure-policy copy ")
                                 .append(options)
                                 .append("oci:im:v2 ")
                                 .append(copy)));
    std::string text = copy;
    text.insert(text.find(':') + 1, directory_.path() + "/");
    const auto image = prepare_text(text);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_THAT(image->config.cmd, ElementsAre("/bin/tool"));
    EXPECT_EQ(image->config.env.back(), "A=b");
    EXPECT_EQ(image->config.user, "7:8");
    EXPECT_EQ(image->config.working_dir, "/srv");
    EXPECT_EQ(image->config.stop_signal, "SIGHUP");
    EXPECT_EQ(image->config.labels.at("k"), "v");
    EXPECT_THAT(image->config.volumes, ElementsAre("/data"));
    expect_same_tree(directory_ / "bundle/rootfs",
                     ErofsReader(testing::read_whole_file(image->root_path)), kAdded);
  }
}

TEST_F(ImageToolsTest, TagsMeanWhatSkopeoMeans) {
  const auto latest = prepare_text("oci:" + directory_ / "im");
  const auto v2 = prepare_text("oci:" + directory_ / "im:v2");
  ASSERT_TRUE(latest && v2);
  EXPECT_NE(latest->digest, v2->digest);
  EXPECT_EQ(ErofsReader(testing::read_whole_file(latest->root_path)).files().count("bin/gone"), 1U);
  EXPECT_FALSE(prepare_text("oci:" + directory_ / "im:v3"));
}

}  // namespace
}  // namespace husk::oci
