#include "contract/aarch64/nested.h"

#include <gtest/gtest.h>

#include "contract/x86/nested.h"

namespace husk::contract {
namespace {

std::string refusal(const Result<void>& result) {
  if (result) return "taken";
  EXPECT_EQ(result.error().kind, ErrorKind::kUnsupported);
  return result.error().message();
}

TEST(Nested, IsSeenInAnX86State) {
  x86::VcpuState state;
  state.efer = 0xd01 & ~(1u << 12);
  state.cr4 = ~uint64_t{1u << 13};
  EXPECT_EQ(refusal(x86::require_no_nesting(state)), "taken");
  state.cr4 = 1u << 13;
  EXPECT_EQ(refusal(x86::require_no_nesting(state)),
            "vCPU state: nested virtualization is not carried: CR4.VMXE is set");
  state.efer = 1u << 12;
  EXPECT_EQ(refusal(x86::require_no_nesting(state)),
            "vCPU state: nested virtualization is not carried: EFER.SVME is set");
}

TEST(Nested, IsSeenInAnAarch64State) {
  aarch64::VcpuState state;
  for (const uint64_t pstate : {0x0, 0x3c5, 0x4, 0x1d3, 0x10}) {  // EL0, EL1h, EL1t, two of AArch32
    state.pstate = pstate;
    EXPECT_EQ(refusal(aarch64::require_no_nesting(state)), "taken") << std::hex << pstate;
  }
  state.pstate = 0x3c9;
  EXPECT_EQ(refusal(aarch64::require_no_nesting(state)),
            "vCPU state: nested virtualization is not carried: it is at EL2");
}

}  // namespace
}  // namespace husk::contract
