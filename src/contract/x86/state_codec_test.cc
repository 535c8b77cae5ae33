#include "contract/x86/state_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "contract/x86/cpu_model.h"
#include "contract/x86/testing/hosts.h"

namespace husk::contract::x86 {
namespace {

using ::testing::HasSubstr;

// Where things are in the bytes.
constexpr size_t kVersionAt = 0, kLeavesAt = 12;

VcpuState shown_state() {
  VcpuState state;
  state.cpu_model = CpuModel::kX86_64V3;
  state.cpuid = shown_cpuid(testing::intel_server(), state.cpu_model);
  state.msrs = {{0x10, 77}, {0x1b, 88}};
  state.xsave = {1, 2, 3};
  return state;
}

std::string written(const VcpuState& state) {
  std::ostringstream out;
  EXPECT_TRUE(write_state(state, out));
  return out.str();
}

std::string refusal(const std::string& bytes) {
  std::istringstream in(bytes);
  const auto state = read_state(in);
  return state ? "no error" : state.error().message();
}

TEST(StateCodec, WhatTheGuestWasShownComesBack) {
  const VcpuState state = shown_state();
  std::istringstream in(written(state) + "behind");
  const auto again = read_state(in);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->cpu_model, state.cpu_model);
  EXPECT_EQ(again->cpuid, state.cpuid);
  EXPECT_EQ(again->msrs, state.msrs);
  EXPECT_EQ(again->xsave, state.xsave);
  std::string rest;
  in >> rest;
  EXPECT_EQ(rest, "behind");
}

TEST(StateCodec, ThereIsOneFormOfAState) {
  std::istringstream in(written(shown_state()));
  EXPECT_EQ(written(*read_state(in)), written(shown_state()));
}

TEST(StateCodec, NonsenseIsRefused) {
  VcpuState state;
  state.cpu_model = static_cast<CpuModel>(3);
  EXPECT_THAT(refusal(written(state)), HasSubstr("unknown CPU model"));
  std::string bytes = written(shown_state());
  for (const size_t length : {size_t{0}, kLeavesAt + 2, bytes.size() - 1})
    EXPECT_NE(refusal(bytes.substr(0, length)), "no error") << length;
  std::string older = bytes;
  older[kVersionAt] = 2;
  EXPECT_THAT(refusal(older), HasSubstr("unknown version"));
  bytes[kLeavesAt + 1] = 0x7f;
  EXPECT_THAT(refusal(bytes), HasSubstr("too many CPUID leaves"));
}

}  // namespace
}  // namespace husk::contract::x86
