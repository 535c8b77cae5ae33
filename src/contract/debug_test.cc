#include "contract/debug.h"

#include <gtest/gtest.h>

namespace husk::contract {
namespace {

using Kind = DebugPoint::Kind;

TEST(Debug, TakesEveryKindAndLength) {
  DebugOptions options;
  EXPECT_TRUE(check_debug(options));
  EXPECT_FALSE(options.any());
  options.points = {{Kind::kExecute, 0, 3}, {Kind::kWrite, 1, 7}, {Kind::kAccess, 8, ~uint64_t{7}}};
  EXPECT_TRUE(check_debug(options));
  EXPECT_TRUE(options.any());
}

TEST(Debug, RefusesPointsThatCannotBe) {
  const auto refusal = [](std::vector<DebugPoint> points) {
    const auto checked = check_debug({.points = std::move(points)});
    return checked ? "taken" : checked.error().message();
  };
  EXPECT_EQ(refusal({5, DebugPoint{}}), "debug points: are more than 4");
  EXPECT_EQ(refusal({{}, {Kind::kWrite, 3, 0}}), "debug point 1: must be 1, 2, 4 or 8 bytes long");
  EXPECT_EQ(refusal({{Kind::kWrite, 0, 0}}), "debug point 0: must be 1, 2, 4 or 8 bytes long");
  EXPECT_EQ(refusal({{Kind::kAccess, 16, 0}}), "debug point 0: must be 1, 2, 4 or 8 bytes long");
  EXPECT_EQ(refusal({{Kind::kAccess, 4, 2}}),
            "debug point 0: must lie at a multiple of its length");
}

}  // namespace
}  // namespace husk::contract
