// Files that are damaged, cut, foreign or newer: refused with a reason, or as good as before.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/flatten.h"
#include "snapshot/restore.h"
#include "snapshot/testing/machine_line.h"
#include "snapshot/verify.h"

namespace husk::snapshot {
namespace {

using namespace testing;

class DamageTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    memory_ = two_regions(kMiB + 0x3000, kMiB);
    for (uint64_t at = 0; at < memory_->size(); at += 7 * kPageSize)
      fill_page(*memory_, at, static_cast<uint32_t>(at));
    ASSERT_TRUE(write_full(path_, sample_contents(), *memory_, {.compress = GetParam()}));
    good_ = read_whole_file(path_);
    ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
    file_ = *base::open_file(path_, O_RDWR, "snapshot");
    memory_end_ = read_manifest(path_)->manifest.memory_end;
    contents_ = SnapshotFile::open(path_)->contents();
  }

  // Refused, naming the file; or the machine that it was, and where memory differs, verify says so.
  void expect_refused_or_harmless(const std::string& what) {
    const auto chain = Chain::open(path_);
    if (!chain) {
      EXPECT_EQ(why(chain).rfind(path_, 0), 0U) << what << ": " << why(chain);
      return;
    }
    EXPECT_EQ(chain->tip().contents(), contents_) << what;
    if (!verify(*chain).empty()) return;
    const auto memory = restore_memory(*chain);
    ASSERT_TRUE(memory) << what << ": " << why(memory);
    EXPECT_EQ(digest(**memory), digest(*memory_)) << what;
  }
  // In place, since writing the file anew for each byte takes its time.
  void flip(size_t at) {
    const char byte = static_cast<char>(good_[at] ^ 1);
    ASSERT_EQ(::pwrite(file_.get(), &byte, 1, static_cast<off_t>(at)), 1);
  }
  void mend(size_t at) {
    ASSERT_EQ(::pwrite(file_.get(), &good_[at], 1, static_cast<off_t>(at)), 1);
  }
  void expect_each_byte_refused(size_t begin, size_t end) {
    for (size_t at = begin; at < end; ++at) {
      flip(at);
      EXPECT_FALSE(SnapshotFile::open(path_)) << "byte " << at;
      mend(at);
    }
    EXPECT_TRUE(SnapshotFile::open(path_));
  }

  TempDirectory directory_{fast_place()};
  std::string path_ = directory_ / "snapshot";
  std::unique_ptr<memory::GuestMemory> memory_;
  base::Fd file_;
  std::string good_;
  uint64_t memory_end_ = 0;
  Contents contents_;
};
INSTANTIATE_TEST_SUITE_P(PlainAndCompressed, DamageTest, ::testing::Bool());

TEST_P(DamageTest, AnyByteOfTheHeader) { expect_each_byte_refused(0, kHeaderSize); }

TEST_P(DamageTest, AnyByteBehindTheMemory) { expect_each_byte_refused(memory_end_, good_.size()); }

TEST_P(DamageTest, BytesBetweenHeaderAndMemoryAreNothing) {
  for (size_t at = kHeaderSize; at < kMemoryStart; at += 1023) flip(at);
  expect_refused_or_harmless("the gap");
  EXPECT_TRUE(verify(*SnapshotFile::open(path_)).empty());
}

TEST_P(DamageTest, BytesOfTheMemoryAreFoundByVerify) {
  unsigned found = 0;
  const size_t step = (memory_end_ - kMemoryStart) / 100 | 1;
  for (size_t at = kMemoryStart; at < memory_end_; at += step) {
    flip(at);
    expect_refused_or_harmless("byte " + std::to_string(at));
    if (!verify(*SnapshotFile::open(path_)).empty()) ++found;
    mend(at);
  }
  EXPECT_GE(found, 90U) << "a frame of zstd has a few bits without meaning";
}

TEST_P(DamageTest, CutAnywhere) {
  for (size_t size = good_.size(); size > 0;) {
    size -= size > memory_end_ ? 1 : std::min<size_t>(size, 4096);
    ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(size)), 0);
    EXPECT_FALSE(SnapshotFile::open(path_)) << size;
  }
  replace_file(path_, good_ + '\0');
  EXPECT_FALSE(SnapshotFile::open(path_)) << "a byte longer";
}

TEST(Verify, NamesThePiece) {
  TempDirectory directory(fast_place());
  auto memory = two_regions(2 * kMiB, 4 * kMiB);
  for (uint64_t at = 0; at < memory->size(); at += kPageSize) fill_page(*memory, at, 2);
  ASSERT_TRUE(write_full(directory / "a", sample_contents(), *memory));
  std::string content = read_whole_file(directory / "a");
  content[kMemoryStart + 4 * kMiB + 77] ^= 4;
  replace_file(directory / "a", content);
  const auto chain = Chain::open(directory / "a");
  ASSERT_TRUE(chain) << why(chain);
  const auto damage = verify(*chain);
  ASSERT_EQ(damage.size(), 1U);
  EXPECT_EQ(damage[0].message(), directory / "a" + ": memory 0x100200000+0x100000 is damaged");
  const auto flat = flatten(*chain, directory / "flat");
  EXPECT_EQ(flat.error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(listed(directory.path()).size(), 1U);
}

TEST(Verify, FindsADamagedPageOfADiff) {
  TempDirectory directory(fast_place());
  MachineLine line(directory.path(), 9);
  line.step();
  line.step();
  std::string content = read_whole_file(line.path(1));
  content[kMemoryStart + 5] ^= 4;
  replace_file(line.path(1), content);
  const auto chain = Chain::open(line.path(2));
  ASSERT_TRUE(chain) << why(chain);
  const auto damage = verify(*chain);
  ASSERT_EQ(damage.size(), 1U);
  EXPECT_EQ(damage[0].file, line.path(1));
}

TEST(Verify, AFileThatIsCutWhileOpenIsAnError) {
  TempDirectory directory(fast_place());
  auto memory = two_regions();
  fill(*memory, 1);
  for (uint64_t at = 0; at < memory->size(); at += kPageSize) fill_page(*memory, at, 2);
  ASSERT_TRUE(write_full(directory / "a", sample_contents(), *memory));
  const auto chain = Chain::open(directory / "a");
  ASSERT_TRUE(chain);
  ASSERT_EQ(::chmod((directory / "a").c_str(), 0600), 0);
  std::filesystem::resize_file(directory / "a", kMemoryStart + kMiB);
  EXPECT_GE(verify(*chain).size(), 4U);
  EXPECT_FALSE(restore_memory(*chain)) << "it would be a SIGBUS";
  EXPECT_FALSE(flatten(*chain, directory / "flat"));
}

std::string refusal_of(const std::string& path, const std::string& content) {
  replace_file(path, content);
  return why(SnapshotFile::open(path));
}

TEST(Refusal, SaysWhatIsWrong) {
  TempDirectory directory(fast_place());
  const std::string path = directory / "a";
  auto memory = two_regions();
  ASSERT_TRUE(write_full(path, sample_contents(), *memory));
  std::string good = read_whole_file(path);
  EXPECT_EQ(refusal_of(path, ""), path + ": is not a snapshot");
  EXPECT_EQ(refusal_of(path, std::string(9000, 'E')), path + ": is not a snapshot");
  EXPECT_EQ(refusal_of(path, good.substr(0, 9000)),
            path + ": is 9000 bytes long and was written with " + std::to_string(good.size()));
  good[8] = 2;
  EXPECT_EQ(refusal_of(path, good), path + ": has version 2 of the format; this build reads 1");
  EXPECT_EQ(SnapshotFile::open(path).error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(SnapshotFile::open(directory.path()).error().kind, ErrorKind::kInvalidArgument);
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(why(SnapshotFile::open(directory / "pipe")), directory / "pipe" + ": is not a file");
  EXPECT_EQ(why(SnapshotFile::open(directory / "none")),
            directory / "none" + ": cannot open the snapshot: No such file or directory");
}

}  // namespace
}  // namespace husk::snapshot
