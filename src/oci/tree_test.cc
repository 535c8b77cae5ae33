#include "oci/tree.h"

#include <gmock/gmock.h>

namespace husk::oci {
namespace {

using ::testing::HasSubstr;

Inode file(uint32_t uid = 0) {
  Inode inode;
  inode.type = FileType::kRegular;
  inode.attributes.uid = uid;
  return inode;
}
Inode directory(uint16_t permissions = 0755) {
  Inode inode;
  inode.attributes.permissions = permissions;
  return inode;
}
Inode symlink(const std::string& target) {
  Inode inode;
  inode.type = FileType::kSymlink;
  inode.target = target;
  return inode;
}

class TreeTest : public ::testing::Test {
 protected:
  uint32_t uid(const std::string& path) { return tree_.inode(*tree_.find(path)).attributes.uid; }
  Tree tree_{100};
};

TEST_F(TreeTest, CreatesMissingParents) {
  ASSERT_TRUE(tree_.put("a/b/c", file(7)));
  EXPECT_EQ(uid("a/b/c"), 7U);
  EXPECT_EQ(tree_.inode(*tree_.find("a/b")).attributes.permissions, 0755);
  EXPECT_FALSE(tree_.find("a/c"));
  EXPECT_FALSE(tree_.find("a/b/c/d"));
}

TEST_F(TreeTest, ADirectoryOverADirectoryKeepsItsChildren) {
  ASSERT_TRUE(tree_.put("a/b", file()));
  ASSERT_TRUE(tree_.put("a", directory(0700)));
  EXPECT_TRUE(tree_.find("a/b"));
  EXPECT_EQ(tree_.inode(*tree_.find("a")).attributes.permissions, 0700);
}

TEST_F(TreeTest, EverythingElseReplaces) {
  ASSERT_TRUE(tree_.put("a/b", file()));
  ASSERT_TRUE(tree_.put("a", file(1)));
  EXPECT_FALSE(tree_.find("a/b"));
  ASSERT_TRUE(tree_.put("a", directory()));
  EXPECT_EQ(tree_.inode(*tree_.find("a")).type, FileType::kDirectory);
  ASSERT_TRUE(tree_.put("l", symlink("a")));
  ASSERT_TRUE(tree_.put("l", directory()));  // never through the last link
  EXPECT_EQ(tree_.inode(*tree_.find("l")).type, FileType::kDirectory);
}

TEST_F(TreeTest, TheRootIsADirectory) {
  ASSERT_TRUE(tree_.put("", directory(0711)));
  EXPECT_EQ(tree_.inode(tree_.root()).attributes.permissions, 0711);
  EXPECT_FALSE(tree_.put("", file()));
  ASSERT_TRUE(tree_.put("f", file()));
  EXPECT_FALSE(tree_.link("", "f"));
}

TEST_F(TreeTest, AFileIsNoParent) {
  ASSERT_TRUE(tree_.put("a", file()));
  const auto put = tree_.put("a/b", file());
  ASSERT_FALSE(put);
  EXPECT_THAT(put.error().message(), HasSubstr("'a' is not a directory"));
  EXPECT_EQ(tree_.inode(*tree_.find("a")).type, FileType::kRegular);
}

TEST_F(TreeTest, LinkedParentsStayInside) {
  ASSERT_TRUE(tree_.put("usr/lib", directory()));
  ASSERT_TRUE(tree_.put("lib", symlink("usr/lib")));
  ASSERT_TRUE(tree_.put("lib/x", file(1)));
  EXPECT_EQ(uid("usr/lib/x"), 1U);
  ASSERT_TRUE(tree_.put("abs", symlink("/etc")));
  ASSERT_TRUE(tree_.put("abs/passwd", file(2)));
  EXPECT_EQ(uid("etc/passwd"), 2U);
  ASSERT_TRUE(tree_.put("usr/abs", symlink("/etc")));
  ASSERT_TRUE(tree_.put("usr/abs/group", file(4)));
  EXPECT_EQ(uid("etc/group"), 4U);
  ASSERT_TRUE(tree_.put("usr/up", symlink("../../../../..")));
  ASSERT_TRUE(tree_.put("usr/up/top", file(3)));
  EXPECT_EQ(uid("top"), 3U);
}

TEST_F(TreeTest, LinkLoopsEnd) {
  ASSERT_TRUE(tree_.put("a", symlink("b")));
  ASSERT_TRUE(tree_.put("b", symlink("a")));
  EXPECT_THAT(tree_.put("a/x", file()).error().message(), HasSubstr("symbolic links"));
  EXPECT_FALSE(tree_.find("a/x"));
  tree_.remove("a/x");
  tree_.clear("a");
  // Each link doubles the way: the steps, not only the links, are bounded.
  std::string target;
  while (target.size() < 4000) target += "./../";
  ASSERT_TRUE(tree_.put("d/s0", symlink(target + "d")));
  EXPECT_FALSE(tree_.put("d/s0/s0/s0/s0/s0/s0/s0/s0/s0/s0/x", file()));
}

TEST_F(TreeTest, AsManyLinksAsLinuxFollows) {
  ASSERT_TRUE(tree_.put("l0", directory()));
  for (int i = 1; i <= 41; ++i)
    ASSERT_TRUE(tree_.put("l" + std::to_string(i), symlink("l" + std::to_string(i - 1))));
  EXPECT_TRUE(tree_.put("l40/x", file()));
  EXPECT_THAT(tree_.put("l41/y", file()).error().message(), HasSubstr("symbolic links"));
}

TEST_F(TreeTest, HardLinksShareTheInode) {
  ASSERT_TRUE(tree_.put("a", file(1)));
  ASSERT_TRUE(tree_.link("d/b", "a"));
  EXPECT_EQ(tree_.find("a"), tree_.find("d/b"));
  ASSERT_TRUE(tree_.put("a", file(2)));  // a new file under the old name
  EXPECT_EQ(uid("d/b"), 1U);
  tree_.remove("a");
  EXPECT_EQ(uid("d/b"), 1U);
}

TEST_F(TreeTest, HardLinksNeedAFile) {
  ASSERT_TRUE(tree_.put("d", directory()));
  EXPECT_THAT(tree_.link("a", "none").error().message(), HasSubstr("does not exist"));
  EXPECT_THAT(tree_.link("a", "d").error().message(), HasSubstr("is a directory"));
  EXPECT_THAT(tree_.link("a", "").error().message(), HasSubstr("is a directory"));
  EXPECT_FALSE(tree_.find("a"));
}

TEST_F(TreeTest, RemovesAndClears) {
  ASSERT_TRUE(tree_.put("d/a/x", file()));
  ASSERT_TRUE(tree_.put("d/b", file()));
  tree_.remove("d/a");
  tree_.remove("d/none");
  tree_.remove("none/x");
  EXPECT_FALSE(tree_.find("d/a"));
  EXPECT_TRUE(tree_.find("d/b"));
  tree_.clear("d");
  EXPECT_TRUE(tree_.find("d"));
  EXPECT_FALSE(tree_.find("d/b"));
}

TEST_F(TreeTest, ImpliedDirectoriesCount) {
  std::string path = "x";
  for (int i = 0; i < 200; ++i) path.insert(0, "d/");
  EXPECT_EQ(tree_.put(path, file()).error().kind, ErrorKind::kLimit);
}

}  // namespace
}  // namespace husk::oci
