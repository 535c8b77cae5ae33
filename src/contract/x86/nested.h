// The signs of a guest that is a hypervisor, in an x86 vCPU's state.
#pragma once

#include "contract/nested.h"
#include "contract/x86/vcpu_state.h"

namespace husk::contract::x86 {

// kUnsupported when the guest has turned on SVM (AMD APM vol. 2, 15.4) or VMX (Intel SDM vol. 3,
// 23.7).
[[nodiscard]] inline Result<void> require_no_nesting(uint64_t efer, uint64_t cr4) {
  constexpr uint64_t kSvme = 1u << 12, kVmxe = 1u << 13;
  if ((efer & kSvme) != 0) return refuse_nested("vCPU state", "EFER.SVME is set");
  if ((cr4 & kVmxe) != 0) return refuse_nested("vCPU state", "CR4.VMXE is set");
  return {};
}
[[nodiscard]] inline Result<void> require_no_nesting(const VcpuState& state) {
  return require_no_nesting(state.efer, state.cr4);
}

}  // namespace husk::contract::x86
