// XSAVE's area (Intel SDM vol. 1, 13.7 and 13.8).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "backend/soft/fpu/fpu.h"

namespace husk::soft::fpu {
namespace {

constexpr uint64_t kAll = kXcr0X87 | kXcr0Sse | kXcr0Avx;
constexpr uint8_t kUntouched = 0xa5;

using Area = std::array<uint8_t, kXsaveArea>;

uint64_t components(const Area& area) {
  uint64_t bits;
  std::memcpy(&bits, &area[kXsaveLegacy], sizeof bits);
  return bits;
}
Area clean() {
  Area area{};
  area[24] = 0x80, area[25] = 0x1f;  // MXCSR
  return area;
}
FpuState full() {
  FpuState state;
  for (uint8_t reg = 0; reg < 16; ++reg) {
    Vector value;
    value.fill(static_cast<uint8_t>(reg + 1));
    set_vector(state, reg, value);
  }
  state.image[32] = 7;  // ST0
  return state;
}

TEST(Xsave, WhatIsInItsInitialStateIsSaid) {
  Area area{};
  (void)save_extended(FpuState{}, kAll, area.data());
  EXPECT_EQ(components(area), 0u);
  (void)save_extended(full(), kAll, area.data());
  EXPECT_EQ(components(area), kAll);
}

TEST(Xsave, WritesWhatIsAskedForAndNothingElse) {
  for (uint64_t mask = 0; mask <= kAll; ++mask) {
    Area area;
    area.fill(kUntouched);
    std::memset(&area[kXsaveLegacy], 0, 8);
    Area before = area;
    const auto pieces = save_extended(full(), mask, area.data());
    for (const auto [begin, end] : pieces)
      std::copy(area.begin() + begin, area.begin() + end, before.begin() + begin);
    EXPECT_EQ(area, before) << mask;
    EXPECT_EQ(area[160] != kUntouched, (mask & kXcr0Sse) != 0) << mask;
    EXPECT_EQ(area[kXsaveUpper] != kUntouched, (mask & kXcr0Avx) != 0) << mask;
    EXPECT_EQ(area[24] != kUntouched, (mask & (kXcr0Sse | kXcr0Avx)) != 0) << mask;
    EXPECT_EQ(area[0] != kUntouched, (mask & kXcr0X87) != 0) << mask;
    EXPECT_EQ(components(area), mask);
  }
}

TEST(Xsave, ComponentsThatAreNotAskedForStayInTheHeader) {
  Area area{};
  area[kXsaveLegacy] = kXcr0Avx;
  (void)save_extended(FpuState{}, kXcr0Sse, area.data());
  EXPECT_EQ(components(area), kXcr0Avx);
}

TEST(Xsave, RestoresWhatWasSaved) {
  Area area{};
  (void)save_extended(full(), kAll, area.data());
  FpuState state;
  ASSERT_TRUE(restore_extended(state, kAll, kAll, area.data()));
  EXPECT_EQ(state.image, full().image);
  EXPECT_EQ(state.upper, full().upper);
}

TEST(Xsave, WhatTheHeaderLeavesOutBecomesInitial) {
  FpuState state = full();
  ASSERT_TRUE(restore_extended(state, kXcr0Avx, kAll, clean().data()));
  EXPECT_FALSE(has_upper(state));
  EXPECT_EQ(vector(state, 3)[0], 4) << "not asked for";
  ASSERT_TRUE(restore_extended(state, kAll, kAll, clean().data()));
  EXPECT_EQ(state.image, FpuState{}.image);
}

TEST(Xsave, RefusesWhatMeansNothingAndChangesNothing) {
  FpuState state = full();
  for (const size_t at : {kXsaveLegacy + 8u, kXsaveLegacy + 15u, kXsaveLegacy + 23u, 26u}) {
    Area area = clean();
    area[at] = 0x80;
    EXPECT_FALSE(restore_extended(state, kAll, kAll, area.data())) << at;
  }
  Area area = clean();
  area[kXsaveLegacy] = kXcr0Avx;
  EXPECT_FALSE(restore_extended(state, kXcr0Sse, kXcr0X87 | kXcr0Sse, area.data()));
  EXPECT_EQ(state.upper, full().upper);
}

TEST(Xsave, MxcsrComesWithSseAndAvxWhateverTheHeaderSays) {
  Area area = clean();
  area[25] = 0x7f;
  FpuState state;
  ASSERT_TRUE(restore_extended(state, kXcr0X87, kAll, area.data()));
  EXPECT_EQ(state.image[25], 0x1f);
  ASSERT_TRUE(restore_extended(state, kXcr0Avx, kAll, area.data()));
  EXPECT_EQ(state.image[25], 0x7f);
}

}  // namespace
}  // namespace husk::soft::fpu
