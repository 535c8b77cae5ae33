#include "cli/size.h"

#include <gtest/gtest.h>

namespace husk::cli {
namespace {

TEST(ParseMemory, MustFitTheHostAndBeEnough) {
  constexpr uint64_t kLeast = 64u << 20;
  EXPECT_EQ(*parse_memory("64M", kLeast), kLeast);
  EXPECT_FALSE(parse_memory("63M", kLeast));
  EXPECT_EQ(*parse_memory("67108865", kLeast), kLeast) << "whole pages";
  EXPECT_FALSE(parse_memory("9000000g", kLeast)) << "more than any host has";
}

}  // namespace
}  // namespace husk::cli
