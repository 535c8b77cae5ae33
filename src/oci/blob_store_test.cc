#include "oci/blob_store.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "oci/json.h"
#include "oci/testing/tar_builder.h"
#include "oci/testing/temp_directory.h"

namespace husk::oci {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ArchiveStoreTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<BlobStore>> open(const std::string& content, uint64_t limit = 1 << 20) {
    testing::write_file(files_ / "archive", content);
    return open_archive(files_ / "archive", "image", scratch_.path(), limit);
  }
  testing::TempDirectory files_;
  testing::TempDirectory scratch_;
};

TEST_F(ArchiveStoreTest, ReadsMembersInAnyOrder) {
  const std::string big(300000, 'x');
  const std::string tar =
      testing::TarBuilder().file("./b", big).file("dir/a", "A").file("c", "C").bytes();
  for (const std::string& archive : {tar, testing::gzip(tar), testing::zstd(tar)}) {
    auto store = open(archive);
    ASSERT_TRUE(store) << store.error().message();
    EXPECT_EQ(read_document(**store, "c"), "C");
    EXPECT_EQ(read_document(**store, "dir/a"), "A");
    EXPECT_EQ(read_document(**store, "b"), big);
    EXPECT_EQ(read_document(**store, "c"), "C");
    EXPECT_EQ(read_document(**store, "d").error().kind, ErrorKind::kNotFound);
  }
  EXPECT_THAT(testing::listed(scratch_.path()), IsEmpty());
}

TEST_F(ArchiveStoreTest, FollowsLinksBetweenMembers) {
  auto store = open(testing::TarBuilder()
                        .file("one/layer.tar", "L")
                        .symlink("two/layer.tar", "../one/layer.tar")
                        .hard_link("three", "two/layer.tar")
                        .symlink("loop", "loop")
                        .symlink("out", "../../etc/passwd")
                        .bytes());
  ASSERT_TRUE(store);
  EXPECT_EQ(read_document(**store, "two/layer.tar"), "L");
  EXPECT_EQ(read_document(**store, "three"), "L");
  EXPECT_FALSE(read_document(**store, "loop"));
  EXPECT_FALSE(read_document(**store, "out"));
}

TEST_F(ArchiveStoreTest, OfTwoMembersTheLaterCounts) {
  auto store = open(testing::TarBuilder().file("a", "old").file("./a", "new").bytes());
  EXPECT_EQ(read_document(**store, "a"), "new");
}

TEST_F(ArchiveStoreTest, RefusesBrokenArchives) {
  EXPECT_FALSE(open("this is no tar file at all, whatever its name may say about it"));
  EXPECT_FALSE(open(testing::TarBuilder().file("../a", "x").bytes()));
  const std::string tar = testing::TarBuilder().file("a", std::string(5000, 'x')).bytes();
  auto cut = open(tar.substr(0, 2000));
  EXPECT_FALSE(cut && read_document(**cut, "a"));
  EXPECT_EQ(open(testing::gzip(std::string(2 << 20, '\0'))).error().kind, ErrorKind::kLimit);
  EXPECT_THAT(testing::listed(scratch_.path()), IsEmpty());
}

TEST_F(ArchiveStoreTest, SaysWhatIsMissing) {
  const auto absent = open_archive(files_ / "none", "docker-archive:none", scratch_.path(), 1);
  EXPECT_EQ(absent.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(absent.error().message(), HasSubstr("docker-archive:none: no such image"));
  EXPECT_FALSE(open_archive(files_.path(), "image", scratch_.path(), 1));
  ASSERT_EQ(::mkfifo((files_ / "fifo").c_str(), 0600), 0);
  EXPECT_FALSE(open_archive(files_ / "fifo", "image", scratch_.path(), 1));
}

TEST(LayoutDirectory, ReadsRegularFilesOnly) {
  testing::TempDirectory files;
  testing::write_file(files / "blobs/sha256/x", "data");
  ASSERT_EQ(::mkfifo((files / "index.json").c_str(), 0600), 0);
  auto store = open_layout_directory(files.path(), "oci:x");
  ASSERT_TRUE(store);
  EXPECT_EQ(read_document(**store, "blobs/sha256/x"), "data");
  EXPECT_FALSE(read_document(**store, "index.json"));
  EXPECT_FALSE(read_document(**store, "blobs"));
  EXPECT_THAT(read_document(**store, "none").error().message(), HasSubstr("oci:x: has no none"));
}

TEST(LayoutDirectory, SaysWhatIsMissing) {
  testing::TempDirectory files;
  EXPECT_THAT(open_layout_directory(files / "none", "oci:none").error().message(),
              HasSubstr("oci:none: no such image"));
  testing::write_file(files / "file", "");
  EXPECT_THAT(open_layout_directory(files / "file", "oci:file").error().message(),
              HasSubstr("not a directory"));
}

TEST(ReadDocument, IsVerifiedAndBounded) {
  testing::TempDirectory files;
  testing::write_file(files / "a", "data");
  auto store = open_layout_directory(files.path(), "oci:x");
  EXPECT_TRUE(read_document(**store, "a", digest_of("data"), 4));
  EXPECT_FALSE(read_document(**store, "a", digest_of("date"), 4));
  EXPECT_FALSE(read_document(**store, "a", digest_of("data"), 5));
  EXPECT_FALSE(read_document(**store, "a", digest_of("data"), 3));
  EXPECT_EQ(read_document(**store, "a", {}, kMaxJsonBytes + 1).error().kind, ErrorKind::kLimit);
  testing::write_file(files / "big", std::string(kMaxJsonBytes + 1, ' '));
  EXPECT_EQ(read_document(**store, "big").error().kind, ErrorKind::kLimit);
}

}  // namespace
}  // namespace husk::oci
