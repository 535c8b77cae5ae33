// The signs of a guest that is a hypervisor, in an aarch64 vCPU's state.
#pragma once

#include "contract/aarch64/vcpu_state.h"
#include "contract/nested.h"

namespace husk::contract::aarch64 {

// kUnsupported at EL2 (DDI 0487, C5.2.18: M[3:2]) and above.
[[nodiscard]] inline Result<void> require_no_nesting(const VcpuState& state) {
  constexpr uint64_t kAarch32 = 1u << 4;
  const uint64_t level = state.pstate >> 2 & 3;
  if ((state.pstate & kAarch32) == 0 && level >= 2)
    return refuse_nested("vCPU state", "it is at EL" + std::to_string(level));
  return {};
}

}  // namespace husk::contract::aarch64
