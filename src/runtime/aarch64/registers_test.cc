#include "registers.h"

#include <gmock/gmock.h>

namespace husk::runtime {
namespace {

using contract::aarch64::Power;
using contract::aarch64::VcpuState;
using ::testing::HasSubstr;

// No two alike, so that a swap shows.
Arm64Registers distinct_registers() {
  Arm64Registers registers;
  uint64_t next = 0x1122'3344'5566'7700;
  for (uint64_t& x : registers.x) x = ++next;
  registers.sp = ++next;
  registers.pc = ++next;
  registers.pstate = ++next;
  registers.fpcr = 0x0300'0000;
  registers.fpsr = 0xffff'ffff;
  for (auto& v : registers.v) v = {++next, ~next};
  return registers;
}

TEST(Aarch64Registers, GoIntoAStateAndComeBack) {
  VcpuState state;
  ASSERT_TRUE(put_registers(distinct_registers(), state));
  EXPECT_EQ(state.x[30], distinct_registers().x[30]);
  EXPECT_EQ(state.v[1].low, distinct_registers().v[1][0]);
  EXPECT_EQ(public_registers(state), distinct_registers());
}

TEST(Aarch64Registers, LeaveTheRestOfTheStateAsItIs) {
  VcpuState state;
  state.mpidr = 3;
  state.power = Power::kOff;
  state.registers = {{0x6020'0000'0000'0001, std::vector<std::byte>(4)}};
  const VcpuState before = state;
  ASSERT_TRUE(put_registers(distinct_registers(), state));
  EXPECT_EQ(state.mpidr, before.mpidr);
  EXPECT_EQ(state.power, before.power);
  EXPECT_EQ(state.registers, before.registers);
}

TEST(Aarch64Registers, WhatHasNoRoomIsRefusedAndChangesNothing) {
  for (const auto member : {&Arm64Registers::fpcr, &Arm64Registers::fpsr}) {
    Arm64Registers registers = distinct_registers();
    registers.*member = uint64_t{1} << 32;
    VcpuState state;
    const auto put = put_registers(registers, state);
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(put.error().message(), HasSubstr("32 bits"));
    EXPECT_EQ(state, VcpuState{});
  }
}

}  // namespace
}  // namespace husk::runtime
