#include "oci/entry_path.h"

#include <gtest/gtest.h>

namespace husk::oci {
namespace {

TEST(EntryPath, IsCleaned) {
  EXPECT_EQ(clean_entry_path("a"), "a");
  EXPECT_EQ(clean_entry_path("./a//b/./c/"), "a/b/c");
  EXPECT_EQ(clean_entry_path("/etc/passwd"), "etc/passwd");
  EXPECT_EQ(clean_entry_path("//a"), "a");
  EXPECT_EQ(clean_entry_path("a/../b/x/.."), "b");
  EXPECT_EQ(clean_entry_path("..."), "...");
  for (const char* root : {".", "./", "/", "a/.."}) EXPECT_EQ(clean_entry_path(root), "") << root;
}

TEST(EntryPath, NeverLeavesTheRoot) {
  for (const char* name : {"..", "../a", "/../a", "a/../../b", "./.././a", "a/b/../../.."}) {
    const auto path = clean_entry_path(name);
    ASSERT_FALSE(path) << name;
    EXPECT_EQ(path.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(EntryPath, HasBounds) {
  EXPECT_FALSE(clean_entry_path(""));
  EXPECT_TRUE(clean_entry_path(std::string(255, 'a')));
  EXPECT_EQ(clean_entry_path(std::string(256, 'a')).error().kind, ErrorKind::kLimit);
  std::string deep;
  while (deep.size() < 4096) deep += "a/";
  EXPECT_TRUE(clean_entry_path(deep));
  EXPECT_EQ(clean_entry_path(deep + "a").error().kind, ErrorKind::kLimit);
}

TEST(EntryPath, PrintsOnOneLine) {
  EXPECT_EQ(printable("a\nb\x1b[31m"), "a?b?[31m");
  EXPECT_EQ(printable(std::string(500, 'a')).size(), 203U);
}

TEST(EntryPath, Splits) {
  EXPECT_EQ(base_name("a/b/c"), "c");
  EXPECT_EQ(parent_path("a/b/c"), "a/b");
  EXPECT_EQ(base_name("c"), "c");
  EXPECT_EQ(parent_path("c"), "");
}

}  // namespace
}  // namespace husk::oci
