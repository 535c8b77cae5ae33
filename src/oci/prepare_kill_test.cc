// kill -9 at any moment leaves the cache as it was or with one complete entry.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "oci/erofs_writer.h"
#include "oci/prepare.h"
#include "oci/testing/layout_builder.h"

namespace husk::oci {
namespace {

constexpr int kRounds = 60;

std::string large_layer() {
  testing::TarBuilder tar;
  for (unsigned i = 0; i < 400; ++i)
    tar.file("d" + std::to_string(i % 7) + "/f" + std::to_string(i),
             std::string(size_t{50} * i, 'x'));
  return tar.bytes();
}

class Victim {
 public:
  explicit Victim(const testing::TempDirectory& directory) : directory_(directory) {
    testing::LayoutBuilder()
        .image({testing::gzip_layer(large_layer())})
        .write(directory / "layout");
  }

  // Runs to its end, or is killed after `delay_us`.
  void run(uint64_t delay_us) const {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto reference = parse_reference("oci:" + directory_ / "layout");
      PrepareOptions options;
      options.cache_directory = directory_ / "cache";
      ::_exit(prepare(*reference, options) ? 0 : 1);
    }
    if (delay_us != 0) {
      ::usleep(static_cast<useconds_t>(delay_us));
      ::kill(child, SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(status == 0 || (WIFSIGNALED(status) && delay_us != 0));
  }

 private:
  const testing::TempDirectory& directory_;
};

TEST(PrepareKilled, LeavesNoPartialEntryAndNoTemporaryFile) {
  testing::TempDirectory directory;
  const Victim victim(directory);
  const uint64_t begin = base::monotonic_ns();
  victim.run(0);
  const uint64_t whole_us = (base::monotonic_ns() - begin) / 1000;
  const auto images = directory / "cache/images";
  ASSERT_EQ(testing::listed(images).size(), 1U);
  const std::string entry = testing::listed(images)[0];
  const std::string path = directory / "cache/images/" + entry;
  const std::string complete = testing::read_whole_file(path);

  int killed_early = 0;
  for (int round = 1; round <= kRounds; ++round) {
    std::filesystem::remove(path);
    victim.run(1 + whole_us * 11 / 10 * round / kRounds);
    const auto left = testing::listed(images);
    if (left.empty()) {
      ++killed_early;
      continue;
    }
    ASSERT_EQ(left, std::vector{entry});
    EXPECT_TRUE(testing::read_whole_file(path) == complete);
  }
  EXPECT_GT(killed_early, kRounds / 10);
}

}  // namespace
}  // namespace husk::oci
