// kill -9 at any moment, disks that fill up, limits: what is visible is whole, and nothing else is
// left.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/temp_file.h"
#include "snapshot/flatten.h"
#include "snapshot/testing/machine_line.h"
#include "snapshot/verify.h"

namespace husk::snapshot {
namespace {

using namespace testing;

constexpr int kRounds = 60;

// Runs `work` in a process of its own, to its end or to SIGKILL after `delay_us`.
template <class Work>
void run(uint64_t delay_us, Work work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work() ? 0 : 1);
  if (delay_us != 0) {
    ::usleep(static_cast<useconds_t>(delay_us));
    ::kill(child, SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(status == 0 || (WIFSIGNALED(status) && delay_us != 0)) << status;
}

// Kills `work`, which makes `out` in `directory`, at moments all over its duration.
template <class Work>
void kill_often(const std::string& directory, const std::string& out, Work work) {
  const auto others = listed(directory);
  const uint64_t begin = base::monotonic_ns();
  run(0, work);
  const uint64_t whole_us = (base::monotonic_ns() - begin) / 1000;
  ASSERT_TRUE(std::filesystem::exists(out));
  const std::string complete = read_whole_file(out);
  int killed_early = 0;
  for (int round = 1; round <= kRounds; ++round) {
    std::filesystem::remove(out);
    run(1 + whole_us * 11 / 10 * static_cast<unsigned>(round) / kRounds, work);
    if (!std::filesystem::exists(out)) {
      ++killed_early;
      EXPECT_EQ(listed(directory), others) << "something was left";
      continue;
    }
    EXPECT_EQ(listed(directory).size(), others.size() + 1);
    EXPECT_TRUE(read_whole_file(out) == complete);
    const auto chain = Chain::open(out);
    ASSERT_TRUE(chain) << why(chain);
    EXPECT_TRUE(verify(*chain).empty());
  }
  EXPECT_GT(killed_early, kRounds / 10);
}

class Killed : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] static WriteOptions options() { return {.compress = GetParam()}; }
  TempDirectory directory_{fast_place()};
};
INSTANTIATE_TEST_SUITE_P(PlainAndCompressed, Killed, ::testing::Bool());

TEST_P(Killed, AWriterLeavesAWholeFileOrNone) {
  auto memory = two_regions();
  fill(*memory, 1);
  kill_often(directory_.path(), directory_ / "out", [&] {
    return write_full(directory_ / "out", sample_contents(), *memory, options()).has_value();
  });
}

TEST_P(Killed, FlattenLeavesAWholeFileOrNone) {
  MachineLine line(directory_.path(), 2);
  for (int i = 0; i < 5; ++i) line.step();
  kill_often(directory_.path(), directory_ / "out", [&] {
    const auto chain = Chain::open(line.path(5));
    return chain && flatten(*chain, directory_ / "out", options());
  });
}

TEST(Pruned, TakesWhatTheDeadLeftWhereFilesHaveNames) {
  TempDirectory directory;
  run(0, [&] {
    auto file = base::TempFile::create_named(directory.path());
    ::_exit(file ? 0 : 1);  // as if killed: no destructor runs
    return true;
  });
  auto alive = base::TempFile::create_named(directory.path());
  ASSERT_TRUE(alive);
  EXPECT_EQ(listed(directory.path()).size(), 1U) << "the next writer sweeps";
  EXPECT_EQ(prune(directory.path()), 0U) << "not of the living";
}

// At every size of the file at which it can end: the error tells, nothing is left.
TEST(Full, EveryLimitOnTheFilesSizeIsOneClearError) {
  TempDirectory directory(fast_place());
  auto memory = two_regions(kMiB, kMiB);
  fill(*memory, 3);
  const std::string path = directory / "out";
  ASSERT_TRUE(write_full(path, sample_contents(), *memory));
  const uint64_t size = std::filesystem::file_size(path);
  std::filesystem::remove(path);
  for (uint64_t limit = 0; limit < size; limit += size / 40) {
    run(0, [&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit most{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &most);
      const auto written = write_full(path, sample_contents(), *memory);
      return !written && written.error().message() == path + ": cannot write: File too large";
    });
    EXPECT_TRUE(listed(directory.path()).empty()) << limit;
  }
}

// A tmpfs of one MiB, in a mount namespace of this process's own; where that is allowed.
TEST(Full, AFullDiskIsOneClearError) {
  TempDirectory directory(fast_place());
  auto memory = two_regions(2 * kMiB, kMiB);
  for (uint64_t at = 0; at < memory->size(); at += kPageSize) fill_page(*memory, at, 2);
  const std::string path = directory / "out";
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("small", directory.path().c_str(), "tmpfs", 0, "size=1m") != 0)
      ::_exit(2);
    const auto written = write_full(path, sample_contents(), *memory);
    const bool told =
        !written && written.error().message() == path + ": cannot write: No space left on device";
    const bool clean = listed(directory.path()).empty();
    auto small = two_regions(kMiB / 2, 4096);
    ::_exit(told && clean && write_full(path, sample_contents(), *small) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) GTEST_SKIP() << "no right to mount";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace husk::snapshot
