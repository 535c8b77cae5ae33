#include "virtio/file_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace husk::virtio {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// A file of 1 MiB, full of 'x', in `folder`.
class FileStoreTest : public ::testing::Test {
 protected:
  ~FileStoreTest() override { std::filesystem::remove(path_); }
  void make(const std::filesystem::path& folder = std::filesystem::temp_directory_path()) {
    path_ = folder / ("husk-store-" + std::to_string(::getpid()));
    std::ofstream(path_) << std::string(kMiB, 'x');
  }
  std::unique_ptr<FileStore> open(bool read_only) {
    auto store = FileStore::open(path_, read_only);
    if (!store) ADD_FAILURE() << store.error().message();
    return store ? std::move(*store) : nullptr;
  }
  static std::string read(FileStore& store, uint64_t at, size_t length) {
    std::string out(length, '?');
    EXPECT_TRUE(store.read(at, std::as_writable_bytes(std::span(out))));
    return out;
  }
  [[nodiscard]] uint64_t allocated() const {
    struct stat st{};
    EXPECT_EQ(::stat(path_.c_str(), &st), 0);
    return static_cast<uint64_t>(st.st_blocks) * 512;
  }

  std::filesystem::path path_;
};

TEST_F(FileStoreTest, KeepsWhatIsWritten) {
  make();
  {
    const auto store = open(false);
    EXPECT_EQ(store->size(), kMiB);
    EXPECT_FALSE(store->read_only());
    ASSERT_TRUE(store->write(700, std::as_bytes(std::span(std::string_view("across sectors")))));
    ASSERT_TRUE(store->flush());
  }
  EXPECT_EQ(read(*open(true), 699, 16), "xacross sectorsx");
}

TEST_F(FileStoreTest, AReadOnlyStoreChangesNothing) {
  make();
  const auto store = open(true);
  EXPECT_TRUE(store->read_only());
  EXPECT_FALSE(store->write(0, std::as_bytes(std::span(std::string_view("no")))));
  EXPECT_FALSE(store->write_zeroes(0, 512, true));
  EXPECT_TRUE(store->discard(0, 512)) << "a hint is never an error";
  EXPECT_TRUE(store->flush());
  EXPECT_EQ(read(*store, 0, 512), std::string(512, 'x'));
}

TEST_F(FileStoreTest, DiscardGivesTheSpaceBack) {
  make();
  const auto store = open(false);
  ASSERT_TRUE(store->flush());
  const uint64_t before = allocated();
  ASSERT_TRUE(store->discard(kMiB / 4, kMiB / 2));
  EXPECT_LE(allocated(), before - kMiB / 2);
  EXPECT_EQ(std::filesystem::file_size(path_), kMiB);
  EXPECT_EQ(read(*store, kMiB / 4 - 1, 2), std::string("x\0", 2));
  EXPECT_EQ(read(*store, kMiB * 3 / 4 - 1, 2), std::string("\0x", 2));
}

TEST_F(FileStoreTest, ZeroesKeepTheSpaceUnlessItMayBeFreed) {
  make();
  const auto store = open(false);
  ASSERT_TRUE(store->flush());
  const uint64_t before = allocated();
  ASSERT_TRUE(store->write_zeroes(0, kMiB / 2, false));
  EXPECT_EQ(allocated(), before);
  EXPECT_EQ(read(*store, 0, kMiB / 2 + 1), std::string(kMiB / 2, '\0') + "x");
  ASSERT_TRUE(store->write_zeroes(kMiB / 2, kMiB / 4, true));
  EXPECT_LE(allocated(), before - kMiB / 4);
  EXPECT_EQ(read(*store, kMiB / 2, kMiB / 4 + 1), std::string(kMiB / 4, '\0') + "x");
}

TEST_F(FileStoreTest, ZeroesAreWrittenWhereTheFileSystemHasNoCallForIt) {
  struct statfs fs{};
  constexpr long kTmpfs = 0x01021994;
  if (::statfs("/dev/shm", &fs) != 0 || fs.f_type != kTmpfs) GTEST_SKIP() << "no tmpfs";
  make("/dev/shm");
  const auto store = open(false);
  constexpr uint64_t kOdd = 3 * 65536 + 512;  // not a whole number of the buffers it is done by
  ASSERT_TRUE(store->write_zeroes(512, kOdd, false));
  EXPECT_EQ(read(*store, 511, kOdd + 2), "x" + std::string(kOdd, '\0') + "x");
  EXPECT_EQ(std::filesystem::file_size(path_), kMiB);
}

TEST_F(FileStoreTest, NothingOfNoLength) {
  make();
  const auto store = open(false);
  EXPECT_TRUE(store->write_zeroes(0, 0, false));
  EXPECT_TRUE(store->discard(0, 0));
  EXPECT_TRUE(store->read(kMiB, {}));
  EXPECT_EQ(read(*store, 0, 1), "x");
}

TEST_F(FileStoreTest, AFileThatShrankIsAnErrorThatNamesIt) {
  make();
  const auto store = open(false);
  std::filesystem::resize_file(path_, 1024);
  std::vector<std::byte> out(1024);
  EXPECT_TRUE(store->read(0, out));
  const auto result = store->read(512, out);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message(), path_.string() + ": ends early");
}

TEST_F(FileStoreTest, AWritableDiskHasOneUser) {
  make();
  {
    const auto writer = open(false);
    const auto second = FileStore::open(path_, false);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().message(), path_.string() + ": disk is in use by another machine");
    EXPECT_FALSE(FileStore::open(path_, true)) << "nor a reader beside a writer";
  }
  const auto reader = open(true);
  EXPECT_TRUE(FileStore::open(path_, true)) << "readers share";
  EXPECT_FALSE(FileStore::open(path_, false)) << "but not with a writer";
}

TEST_F(FileStoreTest, RefusesWhatIsNoDisk) {
  make();
  EXPECT_FALSE(FileStore::open(path_.string() + ".none", true));
  EXPECT_FALSE(FileStore::open(std::filesystem::temp_directory_path(), true));
  EXPECT_FALSE(FileStore::open("/dev/null", true));
  std::filesystem::resize_file(path_, 100);
  const auto odd = FileStore::open(path_, true);
  ASSERT_FALSE(odd);
  EXPECT_NE(odd.error().message().find("multiple of 512"), std::string::npos);
  std::filesystem::resize_file(path_, 0);
  EXPECT_FALSE(FileStore::open(path_, true));
}

TEST_F(FileStoreTest, RefusesAPipeRatherThanWaitForItsWriter) {
  make();
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  ::alarm(10);
  const auto pipe = FileStore::open(path_, true);
  ::alarm(0);
  ASSERT_FALSE(pipe);
  EXPECT_NE(pipe.error().message().find("neither a file nor a block device"), std::string::npos);
}

}  // namespace
}  // namespace husk::virtio
