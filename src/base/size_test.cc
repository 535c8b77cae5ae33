#include "base/size.h"

#include <gtest/gtest.h>

namespace husk::base {
namespace {

TEST(ParseSize, KnowsDockersSuffixes) {
  EXPECT_EQ(*parse_size("--memory", "4096"), 4096u);
  EXPECT_EQ(*parse_size("--memory", "4096b"), 4096u);
  EXPECT_EQ(*parse_size("--memory", "3k"), 3072u);
  EXPECT_EQ(*parse_size("--memory", "512M"), 512u << 20);
  EXPECT_EQ(*parse_size("--memory", "2g"), 2ull << 30);
}

TEST(ParseSize, RefusesEverythingElseNamingTheFlag) {
  for (const char* text : {"", "M", "-1", "1.5G", "5x", "5MM", " 5", "5 ", "0x10", "1e3",
                           "99999999999999999999", "18446744073709551615k", "17179869184g"}) {
    const auto size = parse_size("--memory", text);
    ASSERT_FALSE(size) << text;
    EXPECT_NE(size.error().message().find("--memory"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace husk::base
