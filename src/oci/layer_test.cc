#include "oci/layer.h"

#include <gmock/gmock.h>
#include <sys/mman.h>

#include "oci/testing/tar_builder.h"

namespace husk::oci {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TarBuilder;

class LayerTest : public ::testing::Test {
 protected:
  Result<void> apply(const std::string& tar) {
    MemorySource source(tar);
    auto layer = read_layer(source, spool_, budget_, "layer 1");
    if (!layer) return std::unexpected(layer.error());
    return apply_layer(std::move(*layer), tree_, "layer 1");
  }
  Result<void> apply(const TarBuilder& tar) { return apply(tar.bytes()); }

  // The message of a refusal, which must name the layer.
  std::string refusal(const std::string& tar) {
    const auto applied = apply(tar);
    EXPECT_FALSE(applied);
    if (applied) return "";
    EXPECT_THAT(applied.error().message(), HasSubstr("layer 1"));
    return applied.error().message();
  }
  std::string refusal(const TarBuilder& tar) { return refusal(tar.bytes()); }

  const Inode& at(const std::string& path) {
    const auto found = tree_.find(path);
    EXPECT_TRUE(found) << path;
    return tree_.inode(found.value_or(0));
  }
  std::string content(const std::string& path) {
    const Inode& inode = at(path);
    std::string text(inode.content.size, '\0');
    EXPECT_TRUE(spool_.read(inode.content.offset, std::as_writable_bytes(std::span(text))));
    return text;
  }

  Spool spool_{base::Fd(::memfd_create("spool", MFD_CLOEXEC)), "spool"};
  Tree tree_{10000};
  Budget budget_{Limits{.layer_bytes = 1 << 20, .entries = 10000, .metadata_bytes = 1 << 20}};
};

TEST_F(LayerTest, KeepsEveryKindOfFile) {
  ASSERT_TRUE(
      apply(TarBuilder()
                .directory("./", 0711)
                .directory("bin/", 01777)
                .add({.name = "bin/sh", .mode = 06755, .uid = 1, .gid = 2, .mtime = 99}, "shell")
                .symlink("bin/ash", "sh")
                .hard_link("bin/dash", "bin/sh")
                .add({.name = "dev/tty", .type = '3', .major = 5, .minor = 70000})
                .add({.name = "dev/disk", .type = '4', .major = 4095, .minor = 1})
                .add({.name = "pipe", .type = '6'})));
  EXPECT_EQ(at("").attributes.permissions, 0711);
  EXPECT_EQ(at("bin").attributes.permissions, 01777);
  EXPECT_EQ(at("bin/sh").attributes.permissions, 06755);
  EXPECT_EQ(at("bin/sh").attributes.uid, 1U);
  EXPECT_EQ(at("bin/sh").attributes.gid, 2U);
  EXPECT_EQ(at("bin/sh").attributes.mtime.seconds, 99);
  EXPECT_EQ(content("bin/dash"), "shell");
  EXPECT_EQ(at("bin/ash").target, "sh");
  EXPECT_EQ(at("dev/tty").type, FileType::kCharDevice);
  EXPECT_EQ(at("dev/tty").device_minor, 70000U);
  EXPECT_EQ(at("dev/disk").device_major, 4095U);
  EXPECT_EQ(at("pipe").type, FileType::kFifo);
}

TEST_F(LayerTest, ReadsPaxAndGnuExtensions) {
  const std::string long_name = std::string(200, 'n') + "/" + std::string(200, 'm');
  ASSERT_TRUE(apply(TarBuilder()
                        .pax({{"path", long_name}, {"mtime", "12.5"}, {"uid", "3000000000"}})
                        .file("short", "pax")
                        .gnu_long_name("gnu/" + std::string(150, 'g'))
                        .file("short2", "gnu")
                        .pax({{"path", "na\xc3\xafve"}, {"linkpath", "\xe2\x98\x83"}})
                        .symlink("x", "y")
                        .file("latin\xe9", "raw")
                        .pax({{"path", "bad\xe9utf8"}})
                        .file("x2", "kept")));
  EXPECT_EQ(content(long_name), "pax");
  EXPECT_EQ(at(long_name).attributes.uid, 3000000000U);
  EXPECT_EQ(at(long_name).attributes.mtime, (Timestamp{12, 500000000}));
  EXPECT_EQ(content("gnu/" + std::string(150, 'g')), "gnu");
  EXPECT_EQ(at("na\xc3\xafve").target, "\xe2\x98\x83");
  EXPECT_EQ(content("latin\xe9"), "raw");
  EXPECT_EQ(content("bad\xe9utf8"), "kept");
}

TEST_F(LayerTest, KeepsExtendedAttributes) {
  const std::string capability("\x01\x00\x00\x02\x00\x20", 6);
  ASSERT_TRUE(apply(TarBuilder()
                        .pax({{"SCHILY.xattr.security.capability", capability},
                              {"SCHILY.xattr.user.empty", ""},
                              {"SCHILY.xattr.trusted.overlay.opaque", "y"},
                              {"SCHILY.xattr.com.apple.x", "y"}})
                        .file("ping")));
  const std::vector<Xattr> expected{{"security.capability", capability}, {"user.empty", ""}};
  EXPECT_EQ(at("ping").attributes.xattrs, expected);
}

TEST_F(LayerTest, ReadsSparseFiles) {
  // GNU tar's format 1.0: the map is text at the head of the data.
  std::string map = "2\n0\n4\n100000\n3\n";
  map.resize(512);
  ASSERT_TRUE(apply(TarBuilder()
                        .pax({{"GNU.sparse.major", "1"},
                              {"GNU.sparse.minor", "0"},
                              {"GNU.sparse.name", "holes"},
                              {"GNU.sparse.realsize", "200000"}})
                        .file("GNUSparseFile.0/holes", map + "headend")));
  const std::string text = content("holes");
  ASSERT_EQ(text.size(), 200000U);
  EXPECT_EQ(text.substr(0, 4), "head");
  EXPECT_EQ(text.substr(100000, 3), "end");
  EXPECT_EQ(text.find_first_not_of('\0', 4), 100000U);
}

TEST_F(LayerTest, AbsoluteNamesAreRelativeToTheRoot) {
  ASSERT_TRUE(apply(TarBuilder().file("/etc/passwd", "x").hard_link("/b", "/etc/passwd")));
  EXPECT_EQ(content("etc/passwd"), "x");
  EXPECT_EQ(content("b"), "x");
}

TEST_F(LayerTest, WhiteoutsHideLowerLayers) {
  ASSERT_TRUE(
      apply(TarBuilder().file("a/b", "1").file("a/c", "1").file("d/e", "1").file("f", "1")));
  ASSERT_TRUE(apply(TarBuilder().file("a/.wh.b").file(".wh.d").file("./.wh.f").file("x/.wh.none")));
  EXPECT_FALSE(tree_.find("a/b"));
  EXPECT_TRUE(tree_.find("a/c"));
  EXPECT_FALSE(tree_.find("d"));
  EXPECT_FALSE(tree_.find("f"));
  EXPECT_FALSE(tree_.find("a/.wh.b"));
  EXPECT_FALSE(tree_.find("x"));
}

// layer.md: "Files that are present in the same layer as a whiteout file can only be hidden by
// whiteout files in subsequent layers."
TEST_F(LayerTest, WhiteoutsSpareTheirOwnLayer) {
  ASSERT_TRUE(apply(TarBuilder().file("a/b", "old")));
  ASSERT_TRUE(apply(TarBuilder().file("a/b", "new").file("a/.wh.b")));
  EXPECT_EQ(content("a/b"), "new");
}

// layer.md's own example, in both orders.
TEST_F(LayerTest, OpaqueDirectoriesLoseTheirLowerChildren) {
  for (const bool opaque_first : {true, false}) {
    tree_.clear("");
    ASSERT_TRUE(
        apply(TarBuilder().directory("a").directory("a/b").file("a/b/c/bar").file("x", "x")));
    TarBuilder upper;
    if (opaque_first) upper.file("a/.wh..wh..opq");
    upper.directory("a/b/c").file("a/b/c/foo");
    if (!opaque_first) upper.file("a/.wh..wh..opq");
    ASSERT_TRUE(apply(upper));
    EXPECT_TRUE(tree_.find("a/b/c/foo"));
    EXPECT_FALSE(tree_.find("a/b/c/bar"));
    EXPECT_TRUE(tree_.find("x"));
  }
  ASSERT_TRUE(apply(TarBuilder().file(".wh..wh..opq")));
  EXPECT_TRUE(at("").children.empty());
}

TEST_F(LayerTest, AufsLeftoversAreIgnored) {
  ASSERT_TRUE(
      apply(TarBuilder().file(".wh..wh.aufs").file(".wh..wh.plnk/1.2", "x").file("a", "x")));
  EXPECT_EQ(at("").children.size(), 1U);
}

TEST_F(LayerTest, BadWhiteoutsAreRefused) {
  for (const char* name : {".wh.", "a/.wh..", "a/.wh..."})
    EXPECT_THAT(refusal(TarBuilder().file(name)), HasSubstr("a whiteout that names no file"))
        << name;
  EXPECT_THAT(refusal(TarBuilder().file(".wh.a/b")), HasSubstr("below a whiteout"));
}

TEST_F(LayerTest, FilesAndDirectoriesReplaceEachOther) {
  ASSERT_TRUE(apply(TarBuilder().file("a/b", "1").file("c", "1").symlink("s", "c")));
  ASSERT_TRUE(apply(TarBuilder().file("a", "file").directory("c").file("c/d", "2").directory("s")));
  EXPECT_EQ(content("a"), "file");
  EXPECT_EQ(content("c/d"), "2");
  EXPECT_EQ(at("s").type, FileType::kDirectory);
}

TEST_F(LayerTest, TheLaterOfTwoEntriesCounts) {
  ASSERT_TRUE(apply(TarBuilder().file("a", "first").file("./a", "second")));
  EXPECT_EQ(content("a"), "second");
}

TEST_F(LayerTest, HardLinksReachLowerLayers) {
  ASSERT_TRUE(apply(TarBuilder().file("a", "data")));
  ASSERT_TRUE(apply(TarBuilder().hard_link("b", "./a")));
  EXPECT_EQ(tree_.find("a"), tree_.find("b"));
  EXPECT_THAT(refusal(TarBuilder().file(".wh.a").hard_link("c", "a")),
              HasSubstr("c: a hard link to 'a', which does not exist"));
}

TEST_F(LayerTest, LinksCannotLeadOut) {
  ASSERT_TRUE(apply(TarBuilder().symlink("link", "/etc").file("link/passwd", "mine")));
  EXPECT_EQ(content("etc/passwd"), "mine");
  ASSERT_TRUE(apply(TarBuilder().symlink("up", "../../../..").file("up/x", "inside")));
  EXPECT_EQ(content("x"), "inside");
  EXPECT_THAT(refusal(TarBuilder().symlink("l", "l").file("l/x")), HasSubstr("symbolic links"));
}

TEST_F(LayerTest, HostileNamesAreRefused) {
  EXPECT_THAT(refusal(TarBuilder().file("../evil")),
              AllOf(HasSubstr("../evil"), HasSubstr("leaves")));
  EXPECT_THAT(refusal(TarBuilder().file("a/../../evil")), HasSubstr("leaves the image's root"));
  EXPECT_THAT(refusal(TarBuilder().file("")), HasSubstr("without a name"));
  EXPECT_THAT(refusal(TarBuilder().file(".", "root?")), HasSubstr("root is not a directory"));
  EXPECT_THAT(refusal(TarBuilder().gnu_long_name(std::string(256, 'a')).file("x")),
              HasSubstr("longer than 255"));
  EXPECT_THAT(refusal(TarBuilder().hard_link("a", "../../etc/shadow")), HasSubstr("leaves"));
  EXPECT_THAT(refusal(TarBuilder().hard_link("a", "b")), HasSubstr("does not exist"));
  EXPECT_THAT(refusal(TarBuilder().directory("d").hard_link("a", "d")), HasSubstr("directory"));
  EXPECT_THAT(refusal(TarBuilder().file("f").file("f/g")), HasSubstr("not a directory"));
  EXPECT_THAT(refusal(TarBuilder().file("ev\nil/../..")), HasSubstr("ev?il"));
}

TEST_F(LayerTest, HostileAttributesAreRefused) {
  EXPECT_THAT(refusal(TarBuilder().add({.name = "d", .type = '3', .major = 4096, .minor = 0})),
              HasSubstr("device number"));
  EXPECT_THAT(refusal(TarBuilder().add({.name = "d", .type = '4', .major = 1, .minor = 1 << 20})),
              HasSubstr("device number"));
  EXPECT_THAT(refusal(TarBuilder().add({.name = "d", .type = '3'})), HasSubstr("0:0"));
  EXPECT_THAT(refusal(TarBuilder().symlink("s", "")), HasSubstr("s: "));
  EXPECT_THAT(refusal(TarBuilder().pax({{"uid", "4294967295"}}).file("f")), HasSubstr("owner"));
  EXPECT_THAT(refusal(TarBuilder().pax({{"linkpath", std::string(4096, 'l')}}).symlink("s", "x")),
              HasSubstr("4095"));
  EXPECT_THAT(
      refusal(TarBuilder().pax({{"SCHILY.xattr.user.a", std::string(70000, 'v')}}).file("f")),
      HasSubstr("65535"));
}

TEST_F(LayerTest, BrokenTarsAreRefused) {
  const std::string tar = TarBuilder().file("a", std::string(3000, 'x')).bytes();
  refusal(tar.substr(0, 1500));
  EXPECT_THAT(refusal(tar.substr(0, 512 + 2900)), HasSubstr("ends within a file"));
  EXPECT_TRUE(
      apply(tar.substr(0, 512 + 3000)));  // only the padding is missing, as from `umoci insert`
  EXPECT_EQ(content("a"), std::string(3000, 'x'));
  refusal(std::string(4096, 'x'));
  std::string checksum = tar;
  checksum[0] = 'b';
  refusal(checksum);
  EXPECT_TRUE(apply(TarBuilder().file("a").without_end()));  // as every tar reader
  EXPECT_TRUE(apply(""));
}

TEST_F(LayerTest, MalformedSparseMapsAreRefused) {
  for (const std::string entries : {"2\n100\n4\n0\n4\n", "2\n0\n4\n2\n4\n", "1\n500\n8\n"}) {
    std::string map = entries;
    map.resize(512);
    const auto applied = apply(TarBuilder()
                                   .pax({{"GNU.sparse.major", "1"},
                                         {"GNU.sparse.minor", "0"},
                                         {"GNU.sparse.name", "holes"},
                                         {"GNU.sparse.realsize", "504"}})
                                   .file("GNUSparseFile.0/holes", map + "headtail"));
    EXPECT_FALSE(applied) << entries;
  }
}

TEST_F(LayerTest, WhatAnImageCostsIsLimited) {
  budget_.entries = 2;
  EXPECT_THAT(refusal(TarBuilder().file("a").file("b").file("c")),
              HasSubstr("c: the image has too many"));
  budget_.entries = 100;
  budget_.metadata_bytes = 299;
  EXPECT_THAT(refusal(TarBuilder()
                          .gnu_long_name(std::string(200, 'a'))
                          .file("x")
                          .symlink("y", std::string(99, 'z'))),
              HasSubstr("names and attributes"));
  budget_.metadata_bytes = 1000;
  budget_.file_bytes = 10;
  EXPECT_THAT(refusal(TarBuilder().file("a", "123456").file("b", "123456")),
              HasSubstr("b: the image's files"));
  // A file that is one hole counts in full.
  std::string map = "0\n";
  map.resize(512);
  EXPECT_THAT(refusal(TarBuilder()
                          .pax({{"GNU.sparse.major", "1"},
                                {"GNU.sparse.minor", "0"},
                                {"GNU.sparse.name", "huge"},
                                {"GNU.sparse.realsize", "9000000000000000000"}})
                          .file("GNUSparseFile.0/huge", map)),
              HasSubstr("huge: the image's files"));
}

}  // namespace
}  // namespace husk::oci
