#include "backend/kvm/x86_64/nested_state.h"

#include <gtest/gtest.h>

namespace husk::kvm {
namespace {

kvm_nested_state none(uint16_t format) {
  kvm_nested_state state{};
  state.format = format;
  state.size = sizeof(state);
  if (format == KVM_STATE_NESTED_FORMAT_VMX) state.hdr.vmx.vmxon_pa = ~uint64_t{0};
  return state;
}

TEST(NestedState, OfAGuestThatIsNoHypervisorIsTaken) {
  EXPECT_TRUE(require_no_nesting(none(KVM_STATE_NESTED_FORMAT_VMX)));
  EXPECT_TRUE(require_no_nesting(none(KVM_STATE_NESTED_FORMAT_SVM)));
}

TEST(NestedState, OfAHypervisorIsRefused) {
  for (const uint16_t format : {KVM_STATE_NESTED_FORMAT_VMX, KVM_STATE_NESTED_FORMAT_SVM}) {
    auto inside = none(format);
    inside.flags = KVM_STATE_NESTED_GUEST_MODE;
    const auto refused = require_no_nesting(inside);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);
    EXPECT_EQ(refused.error().message(),
              "vCPU state: nested virtualization is not carried: the vCPU is in a guest's guest");
  }
  auto vmxon = none(KVM_STATE_NESTED_FORMAT_VMX);
  vmxon.hdr.vmx.vmxon_pa = 0x1000;
  EXPECT_EQ(require_no_nesting(vmxon).error().message(),
            "vCPU state: nested virtualization is not carried: the guest has a VMXON region");
}

}  // namespace
}  // namespace husk::kvm
