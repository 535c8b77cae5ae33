// Names and paths of users: where they lead, and what is refused there.
#include "snapshot/location.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "snapshot/restore.h"
#include "snapshot/testing/machine.h"

namespace husk::snapshot {
namespace {

using namespace testing;

class LocationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fill(*memory_, 1);
    ::setenv("HUSK_SNAPSHOTS", store_.c_str(), 1);
  }
  void TearDown() override { ::unsetenv("HUSK_SNAPSHOTS"); }

  Location at(const std::string& text) { return *Location::parse(text); }
  Result<Sha256> full(const std::string& text) {
    return at(text).write_full(sample_contents(), *memory_, {});
  }
  Result<Sha256> diff(const std::string& text, const Parent& parent) {
    fill_page(*memory_, 0x3000, 7);
    const std::vector<Gpa> dirty{Gpa{0x3000}};
    return at(text).write_diff(parent, sample_contents(), *memory_, dirty, {});
  }

  TempDirectory directory_{fast_place()};
  std::string store_ = directory_ / "data/of/mine/snapshots";
  std::unique_ptr<memory::GuestMemory> memory_ = two_regions();
};

TEST_F(LocationTest, ANameIsInTheStoreWhichIsMadeWithAllAbove) {
  EXPECT_EQ(at("one").path(), store_ + "/one.husk");
  ASSERT_TRUE(full("one"));
  EXPECT_TRUE(std::filesystem::exists(store_ + "/one.husk"));
  EXPECT_TRUE(at("one").open_chain());
}

TEST_F(LocationTest, APathIsAFileAndParentsLieBesideIt) {
  const std::string path = directory_ / "box.snap";
  EXPECT_EQ(at(path).path(), path);
  EXPECT_EQ(at(path).directory(), directory_.path());
  const auto id = full(path);
  ASSERT_TRUE(id) << why(id);
  ASSERT_TRUE(diff(directory_ / "box2", {*id, "box.snap"}));
  const auto chain = at(directory_ / "box2").open_chain();
  ASSERT_TRUE(chain) << why(chain);
  EXPECT_EQ(chain->links().size(), 2U);
  EXPECT_EQ(digest(**restore_memory(*chain)), digest(*memory_));
  ASSERT_TRUE(at(directory_ / "flat").write_flat(*chain, {}));
  EXPECT_EQ(at(directory_ / "flat").open_chain()->links().size(), 1U);
}

TEST_F(LocationTest, WhatIsNeitherIsRefused) {
  for (const char* text : {"", ".hidden", "a b", "x/"}) EXPECT_FALSE(Location::parse(text)) << text;
}

TEST_F(LocationTest, ADiffOnAnotherFileThanTheParentIsRefused) {
  const auto id = full("one");
  ASSERT_TRUE(id);
  std::filesystem::remove(store_ + "/one.husk");
  fill_page(*memory_, 0x8000, 3);
  ASSERT_TRUE(full("one"));
  EXPECT_EQ(
      why(diff("two", {*id, "one.husk"})),
      store_ + "/one.husk: is another snapshot now than the one that the machine goes on from");
  EXPECT_FALSE(std::filesystem::exists(store_ + "/two.husk"));
}

TEST_F(LocationTest, TheDefaultIsTheUsersDataDirectory) {
  ::unsetenv("HUSK_SNAPSHOTS");
  const auto place = default_store_directory();
  ASSERT_TRUE(place);
  if (::geteuid() == 0) {
    EXPECT_EQ(*place, "/var/lib/husk/snapshots");
  } else {
    EXPECT_TRUE(place->ends_with("/husk/snapshots"));
  }
}

}  // namespace
}  // namespace husk::snapshot
