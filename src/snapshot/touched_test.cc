#include "snapshot/touched.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "memory/file_window.h"

namespace husk::snapshot {
namespace {

using memory::FileWindow;

class Touched : public ::testing::Test {
 protected:
  static constexpr uint64_t kSize = 64 << 20;
  const uint64_t page = FileWindow::host_page();
  FileWindow window = FileWindow::create(kSize).value();

  std::vector<Range> ranges() {
    const auto found = touched({window.host(), kSize});
    EXPECT_TRUE(found) << found.error().message();
    return found.value_or(std::vector<Range>());
  }
};

TEST_F(Touched, NothingIs) { EXPECT_TRUE(ranges().empty()); }

TEST_F(Touched, PagesThatWereWrittenAre) {
  window.host()[0] = std::byte{1};
  window.host()[3 * page + 5] = std::byte{1};
  window.host()[4 * page] = std::byte{1};
  window.host()[kSize - 1] = std::byte{1};
  EXPECT_EQ(ranges(), (std::vector<Range>{{0, page}, {3 * page, 2 * page}, {kSize - page, page}}));
}

TEST_F(Touched, WhatAFileLiesBehindIsWhoeverTouchedIt) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(::ftruncate(::fileno(file), static_cast<off_t>(8 * page)), 0);
  ASSERT_TRUE(window.show(16 * page, ::fileno(file), 0, 8 * page, FileWindow::Writes::kPrivate));
  std::fclose(file);
  window.host()[24 * page] = std::byte{1};
  EXPECT_EQ(ranges(), (std::vector<Range>{{16 * page, 9 * page}}));
}

TEST_F(Touched, ALookAtItTakesNothing) {
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(ranges().empty());
}

TEST_F(Touched, MoreAreasThanOneReadOfTheMap) {
  for (uint64_t at = 0; at < kSize; at += 2 * page) window.host()[at] = std::byte{1};
  const auto found = ranges();
  ASSERT_EQ(found.size(), kSize / page / 2);
  EXPECT_EQ(found.back(), (Range{kSize - 2 * page, page}));
}

}  // namespace
}  // namespace husk::snapshot
