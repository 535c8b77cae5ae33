#include "base/phases.h"

#include <gtest/gtest.h>

#include <regex>

#include "base/log.h"

namespace husk::base {
namespace {

std::string told(LogLevel level) {
  set_log_level(level);
  ::testing::internal::CaptureStderr();
  begin_phases();
  end_phase("one");
  end_phase("two");
  set_log_level(LogLevel::kWarn);
  return ::testing::internal::GetCapturedStderr();
}

TEST(Phases, AreToldInTheirOrderToWhoAsks) {
  const std::regex lines(
      "husk: debug: phase: load [0-9.]+ ms\n"
      "husk: debug: phase: one [0-9.]+ ms\n"
      "husk: debug: phase: two [0-9.]+ ms\n");
  const std::string text = told(LogLevel::kDebug);
  EXPECT_TRUE(std::regex_match(text, lines)) << text;
}

TEST(Phases, AreToldToNobodyElse) { EXPECT_EQ(told(LogLevel::kInfo), ""); }

}  // namespace
}  // namespace husk::base
