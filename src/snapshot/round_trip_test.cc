// What goes into a snapshot comes out of it, and costs no more disk than it has to.
#include <gtest/gtest.h>

#include "snapshot/restore.h"
#include "snapshot/testing/machine.h"
#include "snapshot/touched.h"
#include "snapshot/verify.h"
#include "snapshot/writer.h"

namespace husk::snapshot {
namespace {

using namespace testing;

class RoundTrip : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] static WriteOptions options() { return {.compress = GetParam()}; }
  TempDirectory directory_;
};
INSTANTIATE_TEST_SUITE_P(PlainAndCompressed, RoundTrip, ::testing::Bool());

TEST_P(RoundTrip, GivesBackMemoryAndStates) {
  auto memory = two_regions();
  fill(*memory, 1);
  const auto id = write_full(directory_ / "one", sample_contents(), *memory, options());
  ASSERT_TRUE(id) << why(id);
  const auto chain = Chain::open(directory_ / "one");
  ASSERT_TRUE(chain) << why(chain);
  EXPECT_EQ(chain->tip().id(), *id);
  Contents expected = sample_contents();
  expected.machine = chain->tip().contents().machine;
  expected.machine.vcpus = sample_contents().machine.vcpus;
  expected.machine.devices = sample_contents().machine.devices;
  EXPECT_EQ(chain->tip().contents(), expected);
  EXPECT_EQ(expected.machine.total_memory, memory->size());
  EXPECT_EQ(expected.machine.memory_regions[1],
            (MemoryRegionSnapshot{kHighMemory, 2 * kMiB, false, 3 * kMiB + 0x5000}));
  const auto restored = restore_memory(*chain);
  ASSERT_TRUE(restored) << why(restored);
  EXPECT_EQ(digest(**restored), digest(*memory));
  EXPECT_TRUE(verify(*chain).empty());
}

TEST_P(RoundTrip, OfUntouchedMemory) {
  auto memory = two_regions();
  ASSERT_TRUE(write_full(directory_ / "zero", sample_contents(), *memory, options()));
  const auto chain = Chain::open(directory_ / "zero");
  ASSERT_TRUE(chain) << why(chain);
  EXPECT_TRUE(verify(*chain).empty());
  EXPECT_EQ(digest(**restore_memory(*chain)), digest(*memory));
  EXPECT_LE(disk_bytes(directory_ / "zero"), 64U << 10);
}

TEST_P(RoundTrip, TheSameMachineHasTheSameId) {
  auto memory = two_regions();
  fill(*memory, 2);
  const auto first = write_full(directory_ / "a", sample_contents(), *memory, options());
  const auto second = write_full(directory_ / "b", sample_contents(), *memory, options());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  memory->bytes()[5] ^= std::byte{1};
  EXPECT_NE(*write_full(directory_ / "c", sample_contents(), *memory, options()), *first);
}

TEST_P(RoundTrip, RestoredMemoryCanBeCapturedAgain) {
  auto memory = two_regions();
  fill(*memory, 3);
  ASSERT_TRUE(write_full(directory_ / "a", sample_contents(), *memory, options()));
  auto restored = *restore_memory(*Chain::open(directory_ / "a"));
  fill_page(*restored, 0x8000, 9);
  ASSERT_TRUE(write_full(directory_ / "b", sample_contents(), *restored, options()));
  EXPECT_EQ(digest(**restore_memory(*Chain::open(directory_ / "b"))), digest(*restored));
  EXPECT_EQ(digest(**restore_memory(*Chain::open(directory_ / "a"))), digest(*memory));
}

TEST(Size, HolesOfMemoryAreHolesOfTheFileAndStayHolesOfMemory) {
  TempDirectory directory;
  auto memory = two_regions(512 * kMiB, 512 * kMiB);
  for (uint64_t page = 0; page < 16; ++page) fill_page(*memory, page * 37 * kMiB, 1);
  std::memset(memory->bytes().data() + 100 * kMiB, 0, 8 * kMiB);  // taken from the host, but zero
  ASSERT_TRUE(write_full(directory / "sparse", sample_contents(), *memory));
  EXPECT_GT(std::filesystem::file_size(directory / "sparse"), 1024 * kMiB);
  EXPECT_LE(disk_bytes(directory / "sparse"), 16 * kPageSize + (256U << 10));
  struct stat st{};
  ASSERT_EQ(::fstat(memory->file(), &st), 0);
  EXPECT_LE(st.st_blocks * 512, int64_t{9 * kMiB}) << "the writer touched memory";
}

TEST(Size, APlainSnapshotIsRestoredByOneMapping) {
  TempDirectory directory;
  auto memory = two_regions();
  fill(*memory, 1);
  ASSERT_TRUE(write_full(directory / "one", sample_contents(), *memory));
  const auto chain = Chain::open(directory / "one");
  const std::vector<snapshot::Run> whole{{0, memory->size(), kMemoryStart, memory->size()}};
  EXPECT_EQ(std::vector(chain->tip().runs().begin(), chain->tip().runs().end()), whole);
  EXPECT_EQ(chain->extents().size(), 1U);
  const auto restored = restore_memory(*chain);
  ASSERT_TRUE(restored) << why(restored);
  const std::string maps = read_whole_file("/proc/self/maps");
  const size_t first = maps.find(directory / "one");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(maps.find(directory / "one", first + 1), std::string::npos);
}

TEST(Size, OfAFilesHolesRestoredMemoryShowsSmallOnesOnly) {
  TempDirectory directory;
  auto memory = two_regions(4 * kMiB, 4 * kMiB);
  for (const uint64_t at : {kMiB, kMiB + 0x20000, 6 * kMiB}) fill_page(*memory, at, 1);
  ASSERT_TRUE(write_full(directory / "one", sample_contents(), *memory));
  const auto restored = restore_memory(*Chain::open(directory / "one"));
  ASSERT_TRUE(restored) << why(restored);
  const std::vector<Range> shown{{kMiB, 0x21000}, {6 * kMiB, kPageSize}};
  EXPECT_EQ(*touched((*restored)->bytes()), shown);
  EXPECT_EQ(digest(**restored), digest(*memory));
}

TEST(Size, CompressionPays) {
  TempDirectory directory;
  auto memory = two_regions();
  std::memset(memory->bytes().data(), 'x', 2 * kMiB);
  ASSERT_TRUE(write_full(directory / "one", sample_contents(), *memory, {.compress = true}));
  EXPECT_LE(std::filesystem::file_size(directory / "one"), 128U << 10);
}

TEST(Writer, NeverReplacesAndNamesTheFile) {
  TempDirectory directory;
  auto memory = two_regions();
  write_file(directory / "taken", "something");
  const auto again = write_full(directory / "taken", sample_contents(), *memory);
  EXPECT_EQ(why(again), directory / "taken" + ": exists; a snapshot never replaces another");
  EXPECT_EQ(again.error().kind, ErrorKind::kState);
  EXPECT_EQ(read_whole_file(directory / "taken"), "something");
  EXPECT_FALSE(write_full(directory / "no/such/directory", sample_contents(), *memory));
}

TEST(Writer, RefusesTwoStatesOfOneName) {
  TempDirectory directory;
  auto memory = two_regions();
  Contents contents = sample_contents();
  contents.machine.vcpus[1].id = 0;
  EXPECT_EQ(why(write_full(directory / "a", contents, *memory)), "snapshot: has two of vcpu/0");
  contents = sample_contents();
  contents.machine.devices[0].name = "\xff";
  EXPECT_EQ(write_full(directory / "a", contents, *memory).error().kind, ErrorKind::kCorrupt);
  EXPECT_TRUE(listed(directory.path()).empty());
}

}  // namespace
}  // namespace husk::snapshot
