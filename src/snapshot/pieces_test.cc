// The small parts: digests, zero pages, ranges, pieces, frames.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "snapshot/frame.h"
#include "snapshot/hash_thread.h"
#include "snapshot/ranges.h"
#include "snapshot/runs.h"
#include "snapshot/testing/machine.h"
#include "snapshot/zero.h"

namespace husk::snapshot {
namespace {

using namespace testing;

// FIPS 180-4's example for SHA-256, the message "abc".
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Digest, IsTheStandards) { EXPECT_EQ(to_hex(sha256(bytes_of("abc"))), kAbc); }

TEST(Digest, IsReadBackExactly) {
  EXPECT_EQ(from_hex(kAbc), sha256(bytes_of("abc")));
  const std::string text = kAbc;
  EXPECT_FALSE(from_hex(text.substr(1)));
  EXPECT_FALSE(from_hex(text + "0"));
  EXPECT_FALSE(from_hex("BA" + text.substr(2)));
  EXPECT_FALSE(from_hex("g" + text.substr(1)));
}

TEST(Digest, OfTheOtherThreadIsTheSame) {
  HashThread hasher;
  for (const size_t size : {0, 1, 100'000, 5, 1'000'000, 200'000}) {
    const std::vector<std::byte> bytes(size, std::byte{7});
    hasher.start(bytes);
    EXPECT_EQ(hasher.finish(), sha256(bytes)) << size;
  }
}

TEST(Zero, EveryByteCounts) {
  std::vector<std::byte> page(kPageSize);
  EXPECT_TRUE(is_zero(page));
  EXPECT_TRUE(is_zero({}));
  for (size_t at = 0; at < page.size(); ++at) {
    page[at] = std::byte{1};
    EXPECT_FALSE(is_zero(page)) << at;
    page[at] = std::byte{0};
  }
  std::ranges::fill(page, std::byte{9});
  EXPECT_FALSE(is_zero(page));
}

TEST(Ranges, JoinWhatTouchesAndOverlaps) {
  std::vector<Range> ranges;
  for (const Range range : {Range{0, 10}, Range{10, 5}, Range{12, 1}, Range{20, 5}, Range{22, 9}})
    append(ranges, range);
  EXPECT_EQ(ranges, (std::vector<Range>{{0, 15}, {20, 11}}));
}

TEST(Ranges, OfASparseFileAreItsData) {
  const base::Fd file(::memfd_create("sparse", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 64 * 4096), 0);
  for (const off_t page : {3, 4, 9, 63}) ASSERT_EQ(::pwrite(file.get(), "x", 1, page * 4096), 1);
  const auto within = [&](uint64_t from, uint64_t pages) {
    return *file_data(file.get(), from * 4096, pages * 4096, "sparse");
  };
  EXPECT_EQ(within(0, 64), (std::vector<Range>{{12288, 8192}, {36864, 4096}, {258048, 4096}}));
  EXPECT_EQ(within(4, 6), (std::vector<Range>{{16384, 4096}, {36864, 4096}}));
  EXPECT_TRUE(within(10, 53).empty());
  EXPECT_TRUE(within(5, 4).empty());
}

TEST(Pieces, EndAtBordersOfAMiB) {
  EXPECT_EQ(piece_at(0, 10 * kPiece).length, kPiece);
  EXPECT_EQ(piece_at(kPiece - 4096, 10 * kPiece).length, 4096U);
  EXPECT_EQ(piece_at(kPiece, kPiece + 4096).length, 4096U);
  EXPECT_EQ(pieces_of({0, kPiece, kMemoryStart, kPiece}), 1U);
  EXPECT_EQ(pieces_of({kPiece - 4096, 8192, kMemoryStart, 8192}), 2U);
  EXPECT_EQ(pieces_of({0, kPiece, 0, 0}), 0U);
}

TEST(Frame, UnpacksToExactlyItsLength) {
  auto packer = Packer::create(1);
  ASSERT_TRUE(packer);
  const std::vector<std::byte> bytes(kFrame, std::byte{5});
  const auto packed = packer->pack(bytes);
  ASSERT_TRUE(packed);
  ASSERT_FALSE(packed->empty());
  std::vector<std::byte> frame(packed->begin(), packed->end());
  std::vector<std::byte> out(kFrame);
  EXPECT_TRUE(unpack(frame, out, "frame"));
  EXPECT_EQ(out, bytes);
  out.resize(kFrame + 1);
  EXPECT_EQ(why(unpack(frame, out, "frame")),
            "frame: its zstd frame holds 262144 bytes, not 262145");
  out.resize(kFrame - 1);
  EXPECT_FALSE(unpack(frame, out, "frame"));
  frame.pop_back();
  EXPECT_EQ(unpack(frame, out, "frame").error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace husk::snapshot
