#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <thread>

#include "base/held_file.h"
#include "base/temp_file.h"
#include "base/testing/temp_directory.h"
#include "cache/prune.h"
#include "snapshot/store.h"
#include "snapshot/testing/machine.h"

namespace husk::cache {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr uint64_t kNsPerSecond = 1'000'000'000;

// A cache with things in it that were used at times of the test's choice, in seconds.
class CacheTest : public ::testing::Test {
 protected:
  CacheTest() {
    for (const char* directory : {"images", "base", "baked", "snapshots"})
      std::filesystem::create_directories(directory_ / directory);
  }
  void used(const std::string& path, uint64_t when) {
    const timespec time{static_cast<time_t>(when), 0};
    const timespec times[] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  std::string image(const std::string& name, uint64_t when, size_t size = 100'000) {
    std::string path = directory_ / ("images/" + name + ".erofs");
    base::testing::write_file(path, std::string(size, 'x'));
    used(path, when);
    return path;
  }
  std::string machine(const std::string& kind, const std::string& name, uint64_t when,
                      const std::string& root = {}) {
    snapshot::Contents contents = snapshot::testing::sample_contents();
    contents.origin.identity["name"] = "label-" + name;
    if (!root.empty()) contents.origin.identity["root"] = root + ".erofs";
    const auto store = snapshot::Store::open(directory_ / kind);
    EXPECT_TRUE(store && store->write_full(name, contents, *memory_));
    std::string path = *store->path_of(name);
    used(path, when);
    return path;
  }
  [[nodiscard]] std::vector<Entry> listed() const {
    auto entries = list(place_);
    EXPECT_TRUE(entries);
    return entries ? *entries : std::vector<Entry>{};
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Entry& entry : listed()) names.push_back(entry.name);
    return names;
  }
  std::vector<std::string> pruned(const PruneOptions& options) {
    const auto pruned = prune(place_, options);
    EXPECT_TRUE(pruned);
    std::vector<std::string> names;
    for (const Entry& entry : pruned->removed) names.push_back(entry.name);
    return names;
  }

  base::testing::TempDirectory directory_;
  const Place place_{directory_.path(), directory_ / "snapshots"};
  std::unique_ptr<memory::GuestMemory> memory_ = snapshot::testing::two_regions();
};

TEST_F(CacheTest, TellsWhatThereIsTheLongestUnusedFirst) {
  image("newest", 400);
  machine("base", "b", 200);
  machine("baked", "k", 100, "newest");
  image("old", 50);
  const auto entries = listed();
  EXPECT_THAT(names(), ElementsAre("old", "k", "b", "newest"));
  EXPECT_EQ(entries[1].kind, Kind::kBaked);
  EXPECT_EQ(entries[1].label, "label-k");
  EXPECT_EQ(entries[1].root, "newest.erofs");
  EXPECT_EQ(entries[1].memory_size, memory_->size());
  EXPECT_EQ(entries[2].kind, Kind::kBase);
  EXPECT_EQ(entries[3].used_ns, 400 * kNsPerSecond);
  EXPECT_GE(entries[3].disk_size, 100'000U);
  EXPECT_THAT(entries[3].needed_by, ElementsAre("baked label-k"));
}

TEST_F(CacheTest, WithoutDirectoriesItIsEmptyAndNothingIsMade) {
  const base::testing::TempDirectory empty;
  const Place place{empty / "cache", empty / "snapshots"};
  EXPECT_THAT(*list(place), IsEmpty());
  EXPECT_THAT(prune(place, {.baked = true})->removed, IsEmpty());
  EXPECT_THAT(base::testing::listed(empty.path()), IsEmpty());
}

TEST_F(CacheTest, ARootImageWasUsedWhenAMachineWithItWas) {
  machine("baked", "k", 300, "image");
  image("image", 100);
  image("other", 200);
  EXPECT_THAT(names(), ElementsAre("other", "k", "image"));
}

TEST_F(CacheTest, WhatWasBakedGoesOnlyWhenItIsAskedForAndItsImageWithIt) {
  image("i", 1);
  image("j", 1);
  machine("base", "b", 2);
  machine("baked", "k", 3, "i");
  EXPECT_THAT(pruned({}), UnorderedElementsAre("j", "b"));
  EXPECT_THAT(pruned({.baked = true}), ElementsAre("k", "i"));
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(CacheTest, WhatIsHeldStays) {
  std::vector<base::Fd> holders;
  for (const std::string& path : {image("i", 1), machine("base", "b", 2), machine("baked", "k", 3)})
    holders.push_back(*base::hold_file(path, "file"));
  for (const Entry& entry : listed()) EXPECT_TRUE(entry.held) << entry.name;
  EXPECT_THAT(pruned({.baked = true}), IsEmpty());
  holders.clear();
  EXPECT_EQ(pruned({.baked = true}).size(), 3U);
}

TEST_F(CacheTest, ARootImageOfTheUsersSnapshotStays) {
  image("needed", 1);
  image("free", 1);
  machine("snapshots", "mine", 1, "needed");
  EXPECT_THAT(pruned({.baked = true}), ElementsAre("free"));
  EXPECT_THAT(listed()[0].needed_by, ElementsAre("snapshot mine"));
}

TEST_F(CacheTest, NoMoreGoesThanMustTheLongestUnusedFirst) {
  image("a", 3);
  image("b", 1);
  image("c", 2);
  const uint64_t each = listed()[0].disk_size;
  EXPECT_THAT(pruned({.keep_bytes = 3 * each}), IsEmpty());
  EXPECT_THAT(pruned({.keep_bytes = 2 * each}), ElementsAre("b"));
  EXPECT_THAT(pruned({.keep_bytes = 2 * each - 1}), ElementsAre("c"));
}

TEST_F(CacheTest, WhatWasUsedSinceStays) {
  image("a", 3);
  image("b", 1);
  EXPECT_THAT(pruned({.used_before_ns = 2 * kNsPerSecond}), ElementsAre("b"));
  EXPECT_THAT(names(), ElementsAre("a"));
}

TEST_F(CacheTest, WhatCannotBeReadIsToldOfAndGoes) {
  base::testing::write_file(directory_ / "baked/k.husk", "nonsense");
  EXPECT_NE(listed()[0].wrong, "");
  EXPECT_THAT(pruned({.baked = true}), ElementsAre("k"));
}

TEST_F(CacheTest, WhatKilledWritersLeftGoes) {
  for (const char* kind : {"images", "base", "baked"})
    base::testing::write_file(directory_ / (std::string(kind) + "/.building-00"), "half");
  pruned({});
  for (const char* kind : {"images", "base", "baked"})
    EXPECT_FALSE(std::filesystem::exists(directory_ / (std::string(kind) + "/.building-00")));
}

TEST_F(CacheTest, TheLimitIsTheEnvironments) {
  ::setenv("HUSK_CACHE", directory_.path().c_str(), 1);
  ::setenv("HUSK_SNAPSHOTS", (directory_ / "snapshots").c_str(), 1);
  ::unsetenv("HUSK_CACHE_LIMIT");
  EXPECT_EQ(*limit(), uint64_t{20} << 30);
  image("i", 1);
  machine("baked", "k", 2, "i");
  image("last", 3);
  keep_within_limit();
  EXPECT_EQ(names().size(), 3U);
  ::setenv("HUSK_CACHE_LIMIT", "150k", 1);
  keep_within_limit();
  EXPECT_THAT(names(), ElementsAre("last"));
  ::setenv("HUSK_CACHE_LIMIT", "much", 1);
  const auto wrong = limit();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message(), "HUSK_CACHE_LIMIT: \"much\" is not a size such as 512M");
  ::unsetenv("HUSK_CACHE_LIMIT");
}

}  // namespace
}  // namespace husk::cache
