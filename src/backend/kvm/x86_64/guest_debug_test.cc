#include "backend/kvm/x86_64/guest_debug.h"

#include <gtest/gtest.h>

namespace husk::kvm {
namespace {

using Kind = DebugPoint::Kind;

constexpr uint32_t kAll = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |
                          KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_BLOCKIRQ;

const DebugOptions kPoints{
    .points = {{Kind::kExecute, 1, 0x1000}, {Kind::kWrite, 4, 0x2000}, {Kind::kAccess, 8, 0x3000}}};

TEST(GuestDebug, NothingIsNothing) { EXPECT_EQ(guest_debug({}, kAll)->control, 0U); }

TEST(GuestDebug, PointsAreInDebugRegisters) {
  const auto debug = *guest_debug(kPoints, kAll);
  EXPECT_EQ(debug.control, KVM_GUESTDBG_ENABLE | uint32_t{KVM_GUESTDBG_USE_HW_BP});
  EXPECT_EQ(debug.arch.debugreg[0], 0x1000U);
  EXPECT_EQ(debug.arch.debugreg[2], 0x3000U);
  // Enabled globally; 0: execute; 1: write, 4 bytes (3); 2: access (3), 8 bytes (2).
  EXPECT_EQ(debug.arch.debugreg[7], 0x0bd0'0600U | 0x2a);
}

TEST(GuestDebug, StepsHoldInterruptsBackWhereThatIsKnown) {
  const DebugOptions step{.single_step = true};
  EXPECT_EQ(guest_debug(step, kAll)->control,
            uint32_t{KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ});
  EXPECT_EQ(guest_debug(step, KVM_GUESTDBG_SINGLESTEP)->control,
            uint32_t{KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP});
}

TEST(GuestDebug, ABreakpointIsPassedByAStepWithoutIt) {
  const auto past = *guest_debug_past(kPoints, kAll);
  EXPECT_NE(past.control & KVM_GUESTDBG_SINGLESTEP, 0U);
  EXPECT_EQ(past.arch.debugreg[7], 0x0bd0'0600U | 0x28) << "accesses are still watched";
  EXPECT_EQ(past.arch.debugreg[2], 0x3000U);
}

TEST(GuestDebug, WhatKvmLacksIsNamed) {
  const auto refused = guest_debug({.software_breakpoints = true}, KVM_GUESTDBG_SINGLESTEP);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(refused.error().subject, "software breakpoints");
  EXPECT_EQ(guest_debug(kPoints, KVM_GUESTDBG_SINGLESTEP).error().subject, "debug points");
  EXPECT_EQ(guest_debug({.single_step = true}, 0).error().subject, "single steps");
}

TEST(GuestDebug, StopsAreToldByDr6) {
  const auto stop = [](uint32_t exception, uint64_t dr6) {
    return debug_stop(kPoints, {exception, 0, 0x77, 0xffff0ff0 | dr6, 0});
  };
  EXPECT_EQ(stop(3, 0), (DebugStop{DebugCause::kSoftwareBreakpoint, 0x77}));
  EXPECT_EQ(stop(1, 1), (DebugStop{DebugCause::kBreakpoint, 0x77}));
  EXPECT_EQ(stop(1, 2), (DebugStop{DebugCause::kWatchpoint, 0x2000}));
  EXPECT_EQ(stop(1, 4), (DebugStop{DebugCause::kWatchpoint, 0x3000}));
  EXPECT_EQ(stop(1, 0x4000), (DebugStop{DebugCause::kStep, 0x77}));
  EXPECT_EQ(stop(1, 0x4004), (DebugStop{DebugCause::kWatchpoint, 0x3000}));
}

}  // namespace
}  // namespace husk::kvm
