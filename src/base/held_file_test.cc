#include "base/held_file.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "base/temp_file.h"
#include "base/testing/temp_directory.h"

namespace husk::base {
namespace {

class Held : public ::testing::Test {
 protected:
  void SetUp() override { testing::write_file(path_, "content"); }
  testing::TempDirectory directory_{testing::fast_place()};
  const std::string path_ = directory_ / "file";
};

TEST_F(Held, StaysUntilTheLastHolderLetsGo) {
  auto first = hold_file(path_, "file"), second = hold_file(path_, "file");
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(is_held(path_));
  EXPECT_FALSE(*remove_unheld(path_));
  first->reset();
  EXPECT_FALSE(*remove_unheld(path_));
  second->reset();
  EXPECT_FALSE(is_held(path_));
  EXPECT_TRUE(*remove_unheld(path_));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Held, AMappingHoldsToo) {
  auto held = hold_file(path_, "file");
  ASSERT_TRUE(held);
  auto mapping = Mapping::map(1, PROT_READ, MAP_PRIVATE, held->get(), 0, path_);
  ASSERT_TRUE(mapping);
  held->reset();
  EXPECT_FALSE(*remove_unheld(path_));
  mapping->reset();
  EXPECT_TRUE(*remove_unheld(path_));
}

TEST_F(Held, WhatIsGoneIsToldApart) {
  ASSERT_TRUE(*remove_unheld(path_));
  EXPECT_FALSE(*remove_unheld(path_));
  EXPECT_FALSE(is_held(path_));
  const auto held = hold_file(path_, "base snapshot");
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(held.error().message(), path_ + ": there is no such base snapshot");
}

TEST_F(Held, AFileIsHeldBeforeItHasItsName) {
  for (const bool named : {false, true}) {
    const std::string path = directory_ / (named ? "named" : "nameless");
    auto file =
        named ? TempFile::create_named(directory_.path()) : TempFile::create(directory_.path());
    ASSERT_TRUE(file);
    ASSERT_TRUE(hold(file->fd(), path));
    ASSERT_TRUE(*file->publish(path));
    EXPECT_FALSE(*remove_unheld(path));
    EXPECT_TRUE(hold_file(path, "file")) << "its maker holds it shared";
  }
}

// One thread removes as often as it can, others make and hold: whoever holds it sees it by its
// name.
TEST_F(Held, NobodyLosesWhatHeHolds) {
  std::atomic<bool> over{false};
  std::thread remover([&] {
    while (!over) (void)remove_unheld(path_);
  });
  for (int round = 0; round < 1000; ++round) {
    {
      auto file = TempFile::create(directory_.path());
      ASSERT_TRUE(file && file->publish(path_));
    }
    const auto held = hold_file(path_, "file");
    if (held) {
      EXPECT_TRUE(std::filesystem::exists(path_));
    } else {
      EXPECT_EQ(held.error().kind, ErrorKind::kNotFound);
    }
  }
  over = true;
  remover.join();
}

TEST_F(Held, UseIsSeenInItsTime) {
  const auto before = std::filesystem::last_write_time(path_) - std::chrono::hours(1);
  std::filesystem::last_write_time(path_, before);
  mark_used(path_);
  EXPECT_GT(std::filesystem::last_write_time(path_), before);
}

}  // namespace
}  // namespace husk::base
