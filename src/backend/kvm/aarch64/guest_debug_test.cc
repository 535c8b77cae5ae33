#include "backend/kvm/aarch64/guest_debug.h"

#include <gtest/gtest.h>

namespace husk::kvm {
namespace {

using Kind = DebugPoint::Kind;

constexpr DebugLimits kLimits{true, 2, 2};
const DebugOptions kOptions{
    .software_breakpoints = true,
    .points = {{Kind::kWrite, 2, 0x2006}, {Kind::kExecute, 1, 0x1004}, {Kind::kAccess, 8, 0x3000}}};

constexpr uint32_t kControl = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW;

TEST(GuestDebug, NothingIsNothing) { EXPECT_EQ(guest_debug({}, {})->control, 0U); }

TEST(GuestDebug, PointsAreInDebugRegisters) {
  const auto debug = *guest_debug(kOptions, kLimits);
  EXPECT_EQ(debug.control, kControl);
  EXPECT_EQ(debug.arch.dbg_bvr[0], 0x1004U);
  EXPECT_EQ(debug.arch.dbg_bcr[0], 0x1e7U);
  EXPECT_EQ(debug.arch.dbg_wvr[0], 0x2000U);
  EXPECT_EQ(debug.arch.dbg_wcr[0], uint64_t{0xc0 << 5 | 2 << 3 | 7}) << "bytes 6 and 7, stores";
  EXPECT_EQ(debug.arch.dbg_wvr[1], 0x3000U);
  EXPECT_EQ(debug.arch.dbg_wcr[1], uint64_t{0xff << 5 | 3 << 3 | 7});
}

TEST(GuestDebug, AStopIsPassedByAStepWithoutIt) {
  const auto past = *guest_debug(kOptions, kLimits, DebugStop{DebugCause::kBreakpoint, 0x1004});
  EXPECT_EQ(past.control,
            uint32_t{KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW | KVM_GUESTDBG_SINGLESTEP});
  EXPECT_EQ(past.arch.dbg_bcr[0], 0U);
  EXPECT_NE(past.arch.dbg_wcr[0], 0U) << "its access is still watched";
  const auto access = *guest_debug(kOptions, kLimits, DebugStop{DebugCause::kWatchpoint, 0x3000});
  EXPECT_EQ(access.arch.dbg_bcr[0], 0U);
  EXPECT_EQ(access.arch.dbg_wcr[0], 0U);
  EXPECT_EQ(access.arch.dbg_wcr[1], 0U);
}

TEST(GuestDebug, WhatKvmLacksIsNamed) {
  const auto subject = [](const DebugLimits& limits) {
    const auto refused = guest_debug(kOptions, limits);
    EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);
    return refused.error().subject;
  };
  EXPECT_EQ(subject({false, 2, 2}), "stops for a debugger");
  EXPECT_EQ(subject({true, 0, 2}), "breakpoints");
  EXPECT_EQ(subject({true, 2, 1}), "watchpoints");
}

TEST(GuestDebug, StopsAreToldByTheSyndrome) {
  const auto stop = [](uint32_t exception, uint64_t far) {
    kvm_debug_exit_arch exit{};
    exit.hsr = exception << 26;
    exit.far = far;
    return debug_stop(kOptions, exit, 0x77);
  };
  EXPECT_EQ(stop(0x30, 0), (DebugStop{DebugCause::kBreakpoint, 0x77}));
  EXPECT_EQ(stop(0x32, 0), (DebugStop{DebugCause::kStep, 0x77}));
  EXPECT_EQ(stop(0x3c, 0), (DebugStop{DebugCause::kSoftwareBreakpoint, 0x77}));
  EXPECT_EQ(stop(0x34, 0x3004), (DebugStop{DebugCause::kWatchpoint, 0x3000}));
  EXPECT_EQ(stop(0x34, 0x2000), (DebugStop{DebugCause::kWatchpoint, 0x2006}))
      << "an access that began below it";
}

}  // namespace
}  // namespace husk::kvm
