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

  // An exit that is left through a byte behind its jump.
  Exit& exit_of(Translation& from) {
    Assembler a(store_.arena().next());
    Exit& exit = store_.add_exit();
    exit.from = &from;
    exit.site = a.jmp();
    exit.unlinked = a.here();
    exit.site.to(exit.unlinked);
    a.byte(0xcc);
    store_.arena().take(a.here());
    return exit;
  }
  static const uint8_t* target_of(const Exit& exit) {
    int32_t distance = 0;
    std::memcpy(&distance, exit.site.field, sizeof distance);
    return exit.site.field + 4 + distance;
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
  Translation& plain = store_.add(first_, 0x1000, false);
  Translation& careful = store_.add(first_, 0x1000, true);
  EXPECT_EQ(store_.find(first_, 0x1000, false), &plain);
  EXPECT_EQ(store_.find(first_, 0x1000, true), &careful);
  EXPECT_EQ(store_.find(first_, 0x2000, false), nullptr);
  EXPECT_EQ(store_.find(second_, 0x1000, false), nullptr);
}

TEST_F(CodeStoreTest, WhatIsStaleIsUnlinkedAndFoundNoMore) {
  Translation& from = store_.add(first_, 0x1000, false);
  Translation& to = store_.add(second_, 0x2000, false);
  to.entry = store_.arena().next();
  Exit& exit = exit_of(from);
  store_.link(exit, to, to.entry);
  EXPECT_EQ(target_of(exit), to.entry);
  EXPECT_TRUE(drop_stale().empty());

  generations_[1] = 1;
  EXPECT_EQ(drop_stale(), std::vector<const Translation*>{&to});
  EXPECT_EQ(target_of(exit), exit.unlinked);
  EXPECT_EQ(exit.target, nullptr);
  EXPECT_EQ(store_.find(second_, 0x2000, false), nullptr);
  EXPECT_EQ(store_.find(first_, 0x1000, false), &from);
}

TEST_F(CodeStoreTest, APageOfAnotherGenerationConflicts) {
  store_.add(first_, 0x1000, false);
  EXPECT_FALSE(store_.conflicts(first_));
  second_.generation_now = &generations_[0];
  second_.generation = 1;
  EXPECT_TRUE(store_.conflicts(second_));
}

TEST_F(CodeStoreTest, ForgetsAll) {
  store_.add(first_, 0x1000, false);
  const size_t room = store_.arena().room();
  exit_of(store_.add(first_, 0x2000, false));
  EXPECT_LT(store_.arena().room(), room);
  store_.forget();
  EXPECT_EQ(store_.find(first_, 0x1000, false), nullptr);
  EXPECT_EQ(store_.arena().room(), room);
}

}  // namespace
}  // namespace husk::soft::jit
