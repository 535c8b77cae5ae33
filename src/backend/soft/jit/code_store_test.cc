#include "backend/soft/jit/code_store.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <vector>

namespace husk::soft::jit {
namespace {

class CodeStoreTest : public ::testing::Test {
 protected:
  CodeStoreTest() {
    if (!store_.map()) ADD_FAILURE() << "no executable memory";
    first_.generation_now = &generations_[0];
    second_.generation_now = &generations_[1];
  }

  Translation& add(const Block& block, uint64_t rip, bool careful = false) {
    Translation& added = store_.add(block, rip, careful);
    Assembler a(store_.next());
    a.byte(0xc3);
    added.entry = store_.ref_of(store_.next());
    store_.take(a.here());
    return added;
  }
  // An exit whose jump leads to the call before it.
  Exit& exit_of(Translation& from) {
    Assembler a(store_.next());
    const JumpSite site = a.jmp();
    a.bind(site);
    a.call_to(store_.next());
    const Ref at = store_.ref_of(a.here());
    a.record(Exit{.site = store_.ref_of(site.field), .from = store_.ref_of(&from)});
    store_.take(a.here());
    return store_.exit(at);
  }
  const uint8_t* target_of(const Exit& exit) {
    int32_t distance = 0;
    const uint8_t* field = store_.written(exit.site);
    std::memcpy(&distance, field, sizeof distance);
    return field + 4 + distance;
  }
  void link(Exit& exit, Translation& to) { store_.link(exit, to, store_.written(to.entry)); }
  // Fills the region that is being written and begins the next one.
  std::vector<uint64_t> begin_region() {
    std::vector<uint64_t> gone;
    store_.take(store_.next() + store_.room());
    EXPECT_TRUE(store_.make_room(1, [&](const Translation& old) { gone.push_back(old.rip); }));
    return gone;
  }
  std::vector<const Translation*> drop_stale() {
    std::vector<const Translation*> gone;
    store_.drop_stale([&](const Translation& stale) { gone.push_back(&stale); });
    return gone;
  }

  CodeStore store_;
  std::array<std::atomic<uint32_t>, 2> generations_{};  // of two pages
  Block first_, second_;
};

TEST_F(CodeStoreTest, TranslationsAreFoundByBlockRipAndCare) {
  Translation& plain = add(first_, 0x1000);
  Translation& careful = add(first_, 0x1000, true);
  EXPECT_EQ(store_.find(first_, 0x1000, false), &plain);
  EXPECT_EQ(store_.find(first_, 0x1000, true), &careful);
  EXPECT_EQ(store_.find(first_, 0x2000, false), nullptr);
  EXPECT_EQ(store_.find(second_, 0x1000, false), nullptr);
}

TEST_F(CodeStoreTest, WhatIsStaleIsUnlinkedAndFoundNoMore) {
  Translation& from = add(first_, 0x1000);
  Exit& exit = exit_of(from);
  Exit& other = exit_of(from);
  Translation& to = add(second_, 0x2000);
  link(exit, to);
  link(other, to);
  EXPECT_EQ(target_of(exit), store_.written(to.entry));
  EXPECT_TRUE(drop_stale().empty());

  generations_[1] = 1;
  EXPECT_EQ(drop_stale(), std::vector<const Translation*>{&to});
  for (const Exit* unlinked : {&exit, &other}) {
    EXPECT_EQ(target_of(*unlinked), CodeStore::unlinked(*unlinked));
    EXPECT_EQ(Ref{unlinked->target}, kNowhere);
  }
  EXPECT_EQ(store_.find(second_, 0x2000, false), nullptr);
  EXPECT_EQ(store_.find(first_, 0x1000, false), &from);
}

TEST_F(CodeStoreTest, AnyExitOfATargetsIsUnlinked) {
  Translation& from = add(first_, 0x1000);
  Translation& to = add(second_, 0x2000);
  Exit* exits[] = {&exit_of(from), &exit_of(from), &exit_of(from)};
  for (Exit* exit : exits) link(*exit, to);
  store_.unlink(*exits[1]);
  EXPECT_EQ(target_of(*exits[1]), CodeStore::unlinked(*exits[1]));
  generations_[1] = 1;
  drop_stale();
  for (const Exit* exit : exits) EXPECT_EQ(target_of(*exit), CodeStore::unlinked(*exit));
}

TEST_F(CodeStoreTest, APageOfAnotherGenerationConflicts) {
  add(first_, 0x1000);
  EXPECT_FALSE(store_.conflicts(first_));
  second_.generation_now = &generations_[0];
  second_.generation = 1;
  EXPECT_TRUE(store_.conflicts(second_));
}

TEST_F(CodeStoreTest, TheOldestMakeRoom) {
  Translation& old = add(first_, 0x1000);
  Exit& of_old = exit_of(old);
  EXPECT_TRUE(begin_region().empty());
  Translation& young = add(first_, 0x2000);
  Exit& of_young = exit_of(young);
  link(of_old, young);
  link(of_young, young);
  link(exit_of(young), old);
  for (size_t i = 2; i < CodeStore::kRegions; ++i) EXPECT_TRUE(begin_region().empty());
  EXPECT_EQ(begin_region(), std::vector<uint64_t>{0x1000});

  EXPECT_EQ(store_.find(first_, 0x1000, false), nullptr);
  EXPECT_EQ(store_.find(first_, 0x2000, false), &young);
  EXPECT_EQ(target_of(of_young), store_.written(young.entry));
  EXPECT_EQ(young.incoming, store_.ref_of(&of_young));
  EXPECT_EQ(Ref{of_young.next}, kNowhere);
  EXPECT_EQ(begin_region(), std::vector<uint64_t>{0x2000});
}

TEST_F(CodeStoreTest, AnExitToWhatMadeRoomLeaves) {
  Translation& old = add(first_, 0x1000);
  begin_region();
  Exit& exit = exit_of(add(first_, 0x2000));
  link(exit, old);
  for (size_t i = 2; i <= CodeStore::kRegions; ++i) begin_region();
  EXPECT_EQ(target_of(exit), CodeStore::unlinked(exit));
}

TEST_F(CodeStoreTest, WhatMadeRoomIsOfNoPage) {
  add(first_, 0x1000);
  begin_region();
  Translation& young = add(first_, 0x2000);
  for (size_t i = 2; i <= CodeStore::kRegions; ++i) begin_region();
  generations_[0] = 1;
  EXPECT_EQ(drop_stale(), std::vector<const Translation*>{&young});
}

TEST_F(CodeStoreTest, StubsStay) {
  const size_t room = store_.room();
  store_.take_for_good(store_.next() + 64);
  for (size_t i = 1; i <= CodeStore::kRegions; ++i) begin_region();
  EXPECT_EQ(store_.room(), room - 64);
}

TEST_F(CodeStoreTest, ForgetsAll) {
  add(first_, 0x1000);
  const size_t room = store_.room();
  exit_of(add(first_, 0x2000));
  EXPECT_LT(store_.room(), room);
  store_.forget();
  EXPECT_EQ(store_.find(first_, 0x1000, false), nullptr);
  EXPECT_GT(store_.room(), room);
}

}  // namespace
}  // namespace husk::soft::jit
