// Snapshots by name: lists, the tree, removal, and several at once.
#include "snapshot/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "snapshot/restore.h"
#include "snapshot/testing/machine.h"
#include "snapshot/verify.h"

namespace husk::snapshot {
namespace {

using namespace testing;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { fill(*memory_, 1); }

  Result<Sha256> full(const std::string& name) {
    return store_.write_full(name, sample_contents(), *memory_);
  }
  Result<Sha256> diff(const std::string& name, const std::string& parent) {
    fill_page(*memory_, 0x3000, ++seed_);
    const std::vector<Gpa> dirty{Gpa{0x3000}};
    return store_.write_diff(name, parent, sample_contents(), *memory_, dirty);
  }
  // "base, 1: first, ..."
  std::string tree() {
    std::string text;
    const auto lines = store_.tree();
    for (const TreeEntry& line : *lines)
      text += std::to_string(line.depth) + ":" + line.entry.name + " ";
    return text;
  }

  TempDirectory directory_{fast_place()};
  Store store_ = *Store::open(directory_ / "store");
  std::unique_ptr<memory::GuestMemory> memory_ = two_regions();
  uint32_t seed_ = 100;
};

TEST_F(StoreTest, ListsWithParentageAndRealSize) {
  const auto base = full("base");
  ASSERT_TRUE(base) << why(base);
  ASSERT_TRUE(diff("next", "base"));
  const auto list = store_.list();
  ASSERT_TRUE(list) << why(list);
  ASSERT_EQ(list->size(), 2U);
  const StoreEntry& first = list->at(0);
  EXPECT_EQ(first.name, "base");
  EXPECT_EQ(first.id, to_hex(*base));
  EXPECT_FALSE(first.parent || first.parent_id || first.wrong);
  EXPECT_EQ(first.memory_size, memory_->size());
  EXPECT_GT(first.file_size, memory_->size());
  EXPECT_LT(first.disk_size, first.file_size / 2);
  EXPECT_EQ(first.disk_size, disk_bytes(directory_ / "store/base.husk"));
  EXPECT_EQ(first.origin, sample_contents().origin);
  EXPECT_EQ(list->at(1).parent, "base");
  EXPECT_EQ(list->at(1).parent_id, first.id);
  EXPECT_EQ(store_.inspect("next")->id, list->at(1).id);
  EXPECT_EQ(store_.inspect("none").error().kind, ErrorKind::kNotFound);
}

TEST_F(StoreTest, TreeHasEachBehindItsParent) {
  ASSERT_TRUE(full("m"));
  ASSERT_TRUE(diff("z", "m"));
  ASSERT_TRUE(diff("a", "z"));
  ASSERT_TRUE(diff("b", "m"));
  ASSERT_TRUE(full("c"));
  EXPECT_EQ(tree(), "0:c 0:m 1:b 1:z 2:a ");
}

TEST_F(StoreTest, RemovesNoParentUnlessForced) {
  ASSERT_TRUE(full("base"));
  ASSERT_TRUE(diff("next", "base"));
  const auto kept = store_.remove("base");
  EXPECT_EQ(kept.error().kind, ErrorKind::kState);
  EXPECT_NE(why(kept).find("'next' builds on it"), std::string::npos) << why(kept);
  ASSERT_TRUE(store_.remove("base", true));
  EXPECT_EQ(tree(), "0:next ");
  EXPECT_FALSE(store_.open_chain("next"));
  EXPECT_TRUE(store_.remove("next"));
  EXPECT_EQ(store_.remove("next").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(tree(), "");
}

TEST_F(StoreTest, TakesNoDiffThatCouldNotBeOpened) {
  ASSERT_TRUE(full("0"));
  const auto larger = two_regions(8 * kMiB);
  const auto other = store_.write_diff("x", "0", sample_contents(), *larger, {});
  EXPECT_EQ(why(other), directory_ / "store/0.husk" + ": is of a machine with other memory");
  EXPECT_EQ(diff("x", "none").error().kind, ErrorKind::kIo);
  Parent last{*from_hex(store_.inspect("0")->id), "0.husk"};
  for (size_t i = 1; i < kMaxChain; ++i) {
    const std::string file = std::to_string(i) + ".husk";
    last = {*write_diff(directory_ / ("store/" + file), last, sample_contents(), *memory_, {}),
            file};
  }
  EXPECT_EQ(diff("x", std::to_string(kMaxChain - 1)).error().kind, ErrorKind::kLimit);
  EXPECT_TRUE(store_.open_chain(std::to_string(kMaxChain - 1)));
  ASSERT_TRUE(store_.remove("7", true));
  EXPECT_EQ(diff("x", "9").error().kind, ErrorKind::kNotFound);
}

TEST_F(StoreTest, FlattenFreesFromTheParent) {
  ASSERT_TRUE(full("base"));
  ASSERT_TRUE(diff("next", "base"));
  ASSERT_TRUE(store_.flatten("next", "flat"));
  ASSERT_TRUE(store_.remove("next"));
  ASSERT_TRUE(store_.remove("base"));
  const auto chain = store_.open_chain("flat");
  ASSERT_TRUE(chain) << why(chain);
  EXPECT_EQ(digest(**restore_memory(*chain)), digest(*memory_));
}

TEST_F(StoreTest, TellsDamagedFilesAndPassesForeignOnes) {
  ASSERT_TRUE(full("good"));
  write_file(directory_ / "store/bad.husk", "not one");
  write_file(directory_ / "store/readme.txt", "hello");
  write_file(directory_ / "store/.hidden.husk", "hello");
  const auto list = store_.list();
  ASSERT_EQ(list->size(), 2U);
  EXPECT_EQ(list->at(0).wrong, directory_ / "store/bad.husk" + ": is not a snapshot");
  EXPECT_EQ(list->at(0).file_size, 7U);
  EXPECT_TRUE(store_.remove("bad"));
}

TEST_F(StoreTest, RefusesNamesThatArePaths) {
  for (const std::string name : {"", ".", "..", ".x", "a/b", "../a", "a b", "\xc3\xa4"}) {
    EXPECT_EQ(full(name).error().kind, ErrorKind::kInvalidArgument) << name;
    EXPECT_EQ(store_.remove(name).error().kind, ErrorKind::kInvalidArgument) << name;
  }
  EXPECT_FALSE(full(std::string(201, 'a')));
  EXPECT_TRUE(full(std::string(200, 'a')));
}

TEST_F(StoreTest, RemovalWaitsForWhoWrites) {
  ASSERT_TRUE(full("base"));
  base::Fd writer = *base::open_file(directory_ / "store/.lock", O_RDWR, "lock");
  ASSERT_EQ(::flock(writer.get(), LOCK_SH), 0);
  ASSERT_TRUE(full("another")) << "writers do not wait for each other";
  std::atomic<bool> removed = false;
  std::thread remover([&] {
    EXPECT_TRUE(store_.remove("base"));
    removed = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(removed);
  writer.reset();
  remover.join();
}

TEST_F(StoreTest, WritersAndRemoversAtOnceLeaveNoOrphan) {
  ASSERT_TRUE(full("base"));
  std::thread remover([&] {
    for (int i = 0; i < 200 && !store_.remove("base"); ++i) std::this_thread::yield();
  });
  std::vector<Gpa> dirty{Gpa{0x3000}};
  std::thread writer([&] {
    for (int i = 0; i < 5; ++i)
      (void)store_.write_diff("d" + std::to_string(i), "base", sample_contents(), *memory_, dirty);
  });
  remover.join();
  writer.join();
  const auto left = store_.list();
  for (const StoreEntry& entry : *left) {
    const auto chain = store_.open_chain(entry.name);
    EXPECT_TRUE(chain) << why(chain);
  }
}

TEST(StoreOpen, MakesItsDirectoryAndRefusesFiles) {
  TempDirectory directory;
  EXPECT_TRUE(Store::open(directory / "a"));
  EXPECT_TRUE(Store::open(directory / "a"));
  EXPECT_FALSE(Store::open(directory / "no/parent"));
  write_file(directory / "file", "");
  EXPECT_EQ(Store::open(directory / "file").error().kind, ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace husk::snapshot
