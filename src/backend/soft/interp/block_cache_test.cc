#include "backend/soft/interp/block_cache.h"

#include <gtest/gtest.h>

#include <array>

#include "backend/soft/interp/known_code.h"

namespace husk::soft::interp {
namespace {

std::array<Op, 3> some_ops(int64_t mark) {
  std::array<Op, 3> ops;
  for (Op& op : ops) op.imm = mark;
  return ops;
}

Block* add(BlockCache& cache, uint64_t key, int64_t mark) {
  Block* block = cache.make(some_ops(mark));
  block->key = key;
  cache.insert(block);
  return block;
}

TEST(BlockCache, FindsWhatItHoldsHoweverMuchThatIs) {
  constexpr uint64_t kMany = 40'000;  // more than its first table holds
  BlockCache cache;
  for (uint64_t key = 0; key < kMany; ++key) add(cache, key * 4096, static_cast<int64_t>(key));
  for (uint64_t key = 0; key < kMany; ++key) {
    const Block* found = cache.find(key * 4096);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->op_count, 3u);
    ASSERT_EQ(found->ops[2].imm, static_cast<int64_t>(key));
  }
  EXPECT_EQ(cache.find(kMany * 4096), nullptr);
  EXPECT_EQ(cache.find(1), nullptr);
}

TEST(BlockCache, TheLastOfAKeyCounts) {
  BlockCache cache;
  add(cache, 0, 1);
  const Block* last = add(cache, 0, 2);
  EXPECT_EQ(cache.find(0), last);
}

TEST(BlockCache, HoldsNothingOnceCleared) {
  BlockCache cache;
  for (const bool release : {false, true}) {
    add(cache, 8, 1);
    release ? cache.release() : cache.clear();
    EXPECT_EQ(cache.find(8), nullptr);
    EXPECT_EQ(cache.used(), 0u);
  }
  EXPECT_EQ(cache.find(8), nullptr);
  EXPECT_EQ(cache.find(8), nullptr);
}

TEST(BlockCache, OpsOfOthersAreNotCopied) {
  BlockCache cache;
  const auto ops = some_ops(7);
  EXPECT_EQ(cache.make_over(ops)->ops, ops.data());
  EXPECT_LT(cache.used(), sizeof(ops));
}

constexpr std::array<uint8_t, 4> kCode{0x90, 0x90, 0xeb, 0xfe}, kOther{0x90, 0x90, 0xeb, 0xfc};

TEST(KnownCode, TellsWhatTheSameBytesMean) {
  KnownCode known;
  known.add(12, std::span(kCode).first(3), some_ops(5));
  const KnownCode::Code* code = known.find(12, kCode);
  ASSERT_NE(code, nullptr) << "what lies behind it does not matter";
  EXPECT_EQ(code->ops.size(), 3u);
  EXPECT_EQ(code->ops[1].imm, 5);
  EXPECT_EQ(known.find(13, kCode), nullptr);
}

TEST(KnownCode, OtherBytesAreNotKnown) {
  KnownCode known;
  known.add(12, kCode, some_ops(5));
  EXPECT_EQ(known.find(12, kOther), nullptr);
  EXPECT_EQ(known.find(12, std::span(kCode).first(3)), nullptr) << "the page ends before it does";
}

TEST(KnownCode, TellsNothingWhileItLearns) {
  KnownCode known;
  known.learn(true);
  known.add(12, kCode, some_ops(5));
  EXPECT_EQ(known.find(12, kCode), nullptr);
  known.learn(false);
  EXPECT_NE(known.find(12, kCode), nullptr);
}

TEST(KnownCode, KeepsMoreThanOneChunk) {
  KnownCode known;
  for (uint64_t key = 0; key < 10'000; ++key)
    known.add(key, kCode, some_ops(static_cast<int64_t>(key)));
  for (uint64_t key = 0; key < 10'000; ++key)
    ASSERT_EQ(known.find(key, kCode)->ops[0].imm, static_cast<int64_t>(key));
}

}  // namespace
}  // namespace husk::soft::interp
