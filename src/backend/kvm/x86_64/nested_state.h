// What KVM says of a guest that runs guests of its own.
#pragma once

#include "husk/error.h"

#include "backend/kvm/common/kvm_api.h"
#include "contract/nested.h"

namespace husk::kvm {

// kUnsupported when the guest is in its guest, or has a VMXON region (api.rst,
// KVM_GET_NESTED_STATE).
[[nodiscard]] inline Result<void> require_no_nesting(const kvm_nested_state& state) {
  constexpr uint64_t kNone = ~uint64_t{0};
  if ((state.flags & KVM_STATE_NESTED_GUEST_MODE) != 0)
    return contract::refuse_nested("vCPU state", "the vCPU is in a guest's guest");
  if (state.format == KVM_STATE_NESTED_FORMAT_VMX && state.hdr.vmx.vmxon_pa != kNone)
    return contract::refuse_nested("vCPU state", "the guest has a VMXON region");
  return {};
}

}  // namespace husk::kvm
