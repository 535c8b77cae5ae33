// Diffs on diffs: what they hold, what they add up to, and chains that do not hold together.
#include "snapshot/chain.h"

#include <gtest/gtest.h>

#include "snapshot/flatten.h"
#include "snapshot/restore.h"
#include "snapshot/testing/machine_line.h"
#include "snapshot/verify.h"

namespace husk::snapshot {
namespace {

using namespace testing;

class ChainTest : public ::testing::Test {
 protected:
  TempDirectory directory_{fast_place()};
};

TEST_F(ChainTest, OfFiftyIsAtEachLinkWhatTheMachineWas) {
  MachineLine line(directory_.path(), 1);
  for (int i = 1; i <= 50; ++i) line.step({.compress = i % 5 == 0});
  for (const size_t i : {size_t{0}, size_t{1}, size_t{7}, size_t{30}, size_t{50}}) {
    const auto chain = Chain::open(line.path(i));
    ASSERT_TRUE(chain) << why(chain);
    EXPECT_EQ(chain->links().size(), i + 1);
    EXPECT_TRUE(verify(*chain).empty());
    const auto memory = restore_memory(*chain);
    ASSERT_TRUE(memory) << why(memory);
    EXPECT_EQ(digest(**memory), line.digests()[i]) << i;
  }
}

TEST_F(ChainTest, FlattenedIsTheChainAndTheMachine) {
  MachineLine line(directory_.path(), 2);
  for (int i = 1; i <= 20; ++i) line.step({.compress = i % 3 == 0});
  for (const bool compress : {false, true}) {
    const auto chain = Chain::open(line.path(20));
    ASSERT_TRUE(chain) << why(chain);
    const std::string flat = directory_ / (compress ? "packed" : "flat");
    const auto id = flatten(*chain, flat, {.compress = compress});
    ASSERT_TRUE(id) << why(id);
    const auto alone = Chain::open(flat);
    ASSERT_TRUE(alone) << why(alone);
    EXPECT_EQ(alone->links().size(), 1U);
    EXPECT_TRUE(verify(*alone).empty());
    EXPECT_EQ(digest(**restore_memory(*alone)), line.digests()[20]);
    EXPECT_EQ(alone->tip().contents().states, chain->tip().contents().states);
    EXPECT_EQ(alone->tip().contents().origin, chain->tip().contents().origin);
    EXPECT_EQ(*id, *write_full(flat + "2", chain->tip().contents(), line.memory(),
                               {.compress = compress}));
  }
}

TEST_F(ChainTest, ExtentsAscendWithoutGaps) {
  MachineLine line(directory_.path(), 3);
  for (int i = 1; i <= 30; ++i) {
    line.step();
    const auto chain = Chain::open(line.path(static_cast<size_t>(i)));
    ASSERT_TRUE(chain) << why(chain);
    uint64_t end = 0;
    for (const Extent& extent : chain->extents()) {
      ASSERT_EQ(extent.at, end);
      ASSERT_GE(extent.at, extent.run->at);
      ASSERT_LE(extent.end(), extent.run->end());
      end = extent.end();
    }
    EXPECT_EQ(end, line.memory().size());
  }
}

TEST_F(ChainTest, ADiffTakesWhatWasWritten) {
  auto memory = two_regions(64 * kMiB, 64 * kMiB);
  for (uint64_t at = 0; at < 64 * kMiB; at += kPageSize) fill_page(*memory, at, 1);
  const auto base = write_full(directory_ / "base", sample_contents(), *memory);
  ASSERT_TRUE(base);
  uint64_t small = 0;
  for (const uint64_t pages : {1, 100, 1000}) {
    std::vector<Gpa> dirty;
    for (uint64_t i = 0; i < pages; ++i) dirty.push_back(Gpa{i * 13 % 16384 * kPageSize});
    const std::string path = directory_ / ("diff" + std::to_string(pages));
    ASSERT_TRUE(write_diff(path, {*base, "base"}, sample_contents(), *memory, dirty));
    if (pages == 1) small = disk_bytes(path);
    EXPECT_LE(disk_bytes(path), small + pages * (kPageSize + 96) + 8192) << pages;
    EXPECT_GE(disk_bytes(path), pages * kPageSize);
  }
  EXPECT_LE(small, 64U << 10);
}

TEST_F(ChainTest, TakesDirtyPagesInAnyOrderAndRefusesWhatIsNone) {
  auto memory = two_regions();
  const Parent parent{*write_full(directory_ / "base", sample_contents(), *memory), "base"};
  fill_page(*memory, 0x1000, 1);
  fill_page(*memory, 0x2000, 2);
  const std::vector<Gpa> dirty{Gpa{0x2000}, Gpa{kHighMemory}, Gpa{0x1000}, Gpa{0x2000}};
  ASSERT_TRUE(write_diff(directory_ / "d", parent, sample_contents(), *memory, dirty));
  const auto chain = Chain::open(directory_ / "d");
  ASSERT_TRUE(chain) << why(chain);
  const std::vector<snapshot::Run> runs{{0x1000, 0x2000, kMemoryStart, 0x2000},
                                        {3 * kMiB + 0x5000, 0x1000, 0, 0}};
  EXPECT_EQ(std::vector(chain->tip().runs().begin(), chain->tip().runs().end()), runs);
  for (const uint64_t bad : {uint64_t{0x1001}, uint64_t{0x4000'0000}, ~uint64_t{0xfff}}) {
    const std::vector<Gpa> pages{Gpa{bad}};
    EXPECT_FALSE(write_diff(directory_ / "x", parent, sample_contents(), *memory, pages)) << bad;
  }
  EXPECT_TRUE(write_diff(directory_ / "none", parent, sample_contents(), *memory, {}));
  EXPECT_EQ(digest(**restore_memory(*Chain::open(directory_ / "none"))), digest(*two_regions()));
}

TEST_F(ChainTest, FindsARenamedParentById) {
  MachineLine line(directory_.path(), 4);
  line.step();
  std::filesystem::rename(line.path(0), directory_ / "elsewhere");
  write_file(line.path(0), "something else");
  const auto chain = Chain::open(line.path(1));
  ASSERT_TRUE(chain) << why(chain);
  EXPECT_EQ(chain->links()[0].path(), directory_ / "elsewhere");
  std::filesystem::remove(directory_ / "elsewhere");
  const auto orphan = Chain::open(line.path(1));
  EXPECT_EQ(orphan.error().kind, ErrorKind::kNotFound) << why(orphan);
  EXPECT_NE(why(orphan).find("its parent 's0'"), std::string::npos) << why(orphan);
}

TEST_F(ChainTest, RefusesOtherMemoryOrArchitectureThanTheParents) {
  auto memory = two_regions();
  const Parent parent{*write_full(directory_ / "base", sample_contents(), *memory), "base"};
  auto larger = two_regions(4 * kMiB);
  ASSERT_TRUE(write_diff(directory_ / "larger", parent, sample_contents(), *larger, {}));
  Contents other = sample_contents();
  other.machine.arch = CpuArch::kAarch64;
  ASSERT_TRUE(write_diff(directory_ / "other", parent, other, *memory, {}));
  for (const char* name : {"larger", "other"}) {
    const auto chain = Chain::open(directory_ / name);
    EXPECT_EQ(chain.error().kind, ErrorKind::kCorrupt);
    EXPECT_NE(why(chain).find("than its parent"), std::string::npos) << why(chain);
  }
}

TEST_F(ChainTest, EndsAtTheLimit) {
  auto memory = two_regions(kMiB, kMiB);
  Parent last{*write_full(directory_ / "0", sample_contents(), *memory), "0"};
  for (size_t i = 1; i <= kMaxChain; ++i) {
    const std::string name = std::to_string(i);
    last = {*write_diff(directory_ / name, last, sample_contents(), *memory, {}), name};
  }
  EXPECT_TRUE(Chain::open(directory_ / std::to_string(kMaxChain - 1)));
  EXPECT_EQ(Chain::open(directory_ / std::to_string(kMaxChain)).error().kind, ErrorKind::kLimit);
}

TEST_F(ChainTest, ALinkMayGoAwayOnceMemoryIsRestored) {
  MachineLine line(directory_.path(), 5);
  line.step();
  const auto memory = restore_memory(*Chain::open(line.path(1)));
  ASSERT_TRUE(memory);
  for (const size_t i : {size_t{0}, size_t{1}}) std::filesystem::remove(line.path(i));
  EXPECT_EQ(digest(**memory), line.digests()[1]);
}

}  // namespace
}  // namespace husk::snapshot
