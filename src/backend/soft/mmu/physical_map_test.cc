#include "backend/soft/mmu/physical_map.h"

#include <gtest/gtest.h>

#include <array>

#include "backend/soft/mmu/code_pages.h"
#include "backend/soft/mmu/tlb.h"

namespace husk::soft::mmu {
namespace {

class PhysicalMapTest : public ::testing::Test {
 protected:
  PhysicalMapTest() {
    EXPECT_TRUE(map.map(ram.data(), 0x10000, ram.size(), true));
    EXPECT_TRUE(map.map(rom.data(), 0x80000, rom.size(), false));
    for (size_t vcpu : {0, 1}) map.acknowledge(vcpu, map.code_epoch());
  }
  PageState& state(uint64_t gpa) { return *map.page(gpa).state; }

  bool settled(uint64_t gpa) { return map.settled(state(gpa), state(gpa).code_epoch); }

  alignas(4096) std::array<std::byte, 4 * 4096> ram{};
  alignas(4096) std::array<std::byte, 4096> rom{};
  PhysicalMap map;
};

TEST_F(PhysicalMapTest, FindsPagesAndTheirRights) {
  EXPECT_EQ(map.page(0x10000).host, ram.data());
  EXPECT_EQ(map.page(0x12fff).host, ram.data() + 0x2000);
  EXPECT_TRUE(map.page(0x10000).writable);
  EXPECT_EQ(map.page(0x80123).host, rom.data());
  EXPECT_FALSE(map.page(0x80123).writable);
  for (const uint64_t gpa : {0x0ull, 0xffffull, 0x14000ull, 0x81000ull, ~0ull})
    EXPECT_EQ(map.page(gpa).state, nullptr) << gpa;
}

TEST_F(PhysicalMapTest, RefusesRangesThatOverlapOrAreNotPages) {
  EXPECT_FALSE(map.map(ram.data(), 0x13000, 4096, true));
  EXPECT_FALSE(map.map(ram.data(), 0xf000, 0x2000, true));
  EXPECT_FALSE(map.map(ram.data(), 0x20001, 4096, true));
  EXPECT_FALSE(map.map(ram.data(), 0x20000, 100, true));
  EXPECT_FALSE(map.map(ram.data(), 0x20000, 0, true));
  EXPECT_FALSE(map.map(ram.data(), ~uint64_t{0xfff}, 0x2000, true));
  EXPECT_FALSE(map.unmap(0x10000, 4096)) << "not as it was mapped";
  EXPECT_TRUE(map.unmap(0x10000, ram.size()));
  EXPECT_EQ(map.page(0x10000).state, nullptr);
}

TEST_F(PhysicalMapTest, CodeIsSettledOnceEveryVcpuHasAcknowledged) {
  map.begin_code(state(0x10000));
  EXPECT_FALSE(settled(0x10000));
  map.acknowledge(0, map.code_epoch());
  EXPECT_FALSE(settled(0x10000));
  map.acknowledge(1, map.code_epoch());
  EXPECT_TRUE(settled(0x10000));
  const uint32_t epoch = map.code_epoch();
  map.begin_code(state(0x10000));
  EXPECT_EQ(map.code_epoch(), epoch) << "it is a code page already";
  map.begin_code(state(0x11000));
  EXPECT_FALSE(settled(0x11000));
  EXPECT_TRUE(settled(0x10000));
}

TEST_F(PhysicalMapTest, AVcpuThatSleepsHoldsNobodyUp) {
  map.begin_code(state(0x10000));
  map.acknowledge(0, map.code_epoch());
  map.set_idle(1);
  EXPECT_TRUE(settled(0x10000));
}

TEST_F(PhysicalMapTest, WritesOfTheHostRaiseTheGenerationOfCodeOnly) {
  map.begin_code(state(0x11000));
  map.begin_code(state(0x12000));
  map.host_wrote(Gpa{0x10ff0}, 0x20);  // into the first byte of 0x11000's page
  EXPECT_EQ(state(0x10000).generation, 0u);
  EXPECT_EQ(state(0x11000).generation, 1u);
  EXPECT_EQ(state(0x12000).generation, 0u);
  map.host_wrote(Gpa{0x11000}, 0x2000);
  EXPECT_EQ(state(0x11000).generation, 2u);
  EXPECT_EQ(state(0x12000).generation, 1u);
  map.host_wrote(Gpa{0x12000}, 0);
  map.host_wrote(Gpa{0x500000}, 0x1000);
  EXPECT_EQ(state(0x12000).generation, 1u);
}

TEST_F(PhysicalMapTest, TellsOfModificationsUntilItIsToldNotTo) {
  std::atomic<uint32_t> word{0};
  map.begin_code(state(0x11000));
  map.tell_modifications(1, word, 4);
  const uint32_t before = map.modifications();
  map.host_wrote(Gpa{0x10000}, 8);
  EXPECT_EQ(word, 0u) << "no code there";
  map.host_wrote(Gpa{0x11000}, 8);
  EXPECT_EQ(word, 4u);
  EXPECT_NE(map.modifications(), before);
  word = 0;
  map.stop_telling(1);
  map.code_written(state(0x11000));
  EXPECT_EQ(word, 0u);
}

TEST_F(PhysicalMapTest, APageThatIsWrittenAgainAndAgainIsNoCodePageAnyMore) {
  const uint32_t epoch = map.begin_code(state(0x11000));
  for (int write = 0; write < 15; ++write) map.code_written(state(0x11000));
  EXPECT_EQ(state(0x11000).code_epoch, epoch);
  map.code_written(state(0x11000));
  EXPECT_EQ(state(0x11000).code_epoch, 0u);
  EXPECT_EQ(state(0x11000).generation, 16u) << "what was decoded is stale";
  EXPECT_NE(map.begin_code(state(0x11000)), epoch);
  map.acknowledge(0, map.code_epoch());
  map.acknowledge(1, map.code_epoch());
  EXPECT_FALSE(map.settled(state(0x11000), epoch)) << "decoded before, settled never";
}

TEST(CodePagesTest, KnowsPagesOfBothSizes) {
  CodePages pages;
  EXPECT_FALSE(pages.may_hold(0x5000));
  pages.note(0x5123, 12);
  EXPECT_TRUE(pages.may_hold(0x5fff));
  EXPECT_FALSE(pages.may_hold(0x6000));
  pages.note(0xffffffff81234567, 21);
  EXPECT_TRUE(pages.may_hold(0xffffffff81200000));
  EXPECT_FALSE(pages.may_hold(0xffffffff81400000));
  pages.note(0x40000000, 30);
  EXPECT_TRUE(pages.may_hold(0x123456789000)) << "everywhere";
  pages.clear();
  EXPECT_FALSE(pages.may_hold(0x5000));
}

TEST(TlbTest, HitsOnlyItsContextWithinItsPage) {
  Tlb tlb;
  std::array<std::byte, 4096> page{};
  tlb.fill_read(0x5123, 8, page.data());
  EXPECT_EQ(tlb.find(tlb.read, 0x5000, 8, 8), page.data());
  EXPECT_EQ(tlb.find(tlb.read, 0x5ff8, 8, 8), page.data() + 0xff8);
  EXPECT_EQ(tlb.find(tlb.read, 0x5ff9, 8, 8), nullptr) << "crosses";
  EXPECT_EQ(tlb.find(tlb.read, 0x5000, 8, 9), nullptr) << "another privilege";
  EXPECT_EQ(tlb.find(tlb.write, 0x5000, 8, 8), nullptr);
  EXPECT_EQ(tlb.find(tlb.read, 0x5000 + Tlb::kEntries * 4096, 1, 8), nullptr) << "same slot";
}

TEST(TlbTest, FlushesWhatItShould) {
  Tlb tlb;
  std::array<std::byte, 4096> page{};
  tlb.fill_read(0x5000, 8, page.data());
  tlb.fill_write(0x6000, 8, page.data());
  tlb.flush_page(0x5fff);
  EXPECT_EQ(tlb.find(tlb.read, 0x5000, 1, 8), nullptr);
  EXPECT_NE(tlb.find(tlb.write, 0x6000, 1, 8), nullptr);
  tlb.flush_writes();
  EXPECT_EQ(tlb.find(tlb.write, 0x6000, 1, 8), nullptr);
}

TEST(LargePagesTest, RemembersRegionsThatMayHoldPieces) {
  LargePages pages;
  EXPECT_FALSE(pages.may_hold(0x40000000));
  pages.note(0x40200000, 21);
  EXPECT_TRUE(pages.may_hold(0x40212345));
  EXPECT_FALSE(pages.may_hold(0x40412345));
  pages.note(0x80000000, 22);
  EXPECT_TRUE(pages.may_hold(0x80000000) && pages.may_hold(0x80200000)) << "both halves";
  pages.note(0x100000000, 30);
  EXPECT_TRUE(pages.may_hold(0x13fffffff));
  pages.clear();
  EXPECT_FALSE(pages.may_hold(0x40212345) || pages.may_hold(0x100000000));
}

TEST(ContextAllocatorTest, NumbersAreNewUntilTheyRunOut) {
  ContextAllocator contexts;
  bool wrapped = false;
  const uint32_t first = contexts.context_of(7, wrapped);
  EXPECT_EQ(contexts.context_of(7, wrapped), first);
  EXPECT_NE(contexts.context_of(8, wrapped), first);
  EXPECT_EQ(first & 3, 0u) << "room for the privilege";
  contexts.forget(7);
  EXPECT_NE(contexts.context_of(7, wrapped), first);
  for (int i = 0; i < 5000 && !wrapped; ++i) {
    contexts.forget(1);
    EXPECT_LT(contexts.context_of(1, wrapped), 4096u);
  }
  EXPECT_TRUE(wrapped) << "the caller is told to flush";
}

}  // namespace
}  // namespace husk::soft::mmu
