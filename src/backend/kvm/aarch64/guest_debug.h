// A debugger's options and stops in KVM's terms (api.rst, KVM_SET_GUEST_DEBUG and KVM_EXIT_DEBUG),
// which on aarch64 are the processor's own (Arm ARM, DDI 0487, chapter D2).
#pragma once

#include <optional>

#include "husk/debug.h"
#include "husk/error.h"

#include "backend/kvm/common/kvm_api.h"

namespace husk::kvm {

// What this KVM can: its answers to KVM_CHECK_EXTENSION.
struct DebugLimits {
  bool any = false;  // KVM_CAP_SET_GUEST_DEBUG
  int breakpoints = 0, watchpoints = 0;
};

// kUnsupported, naming it, for what KVM or the processor lacks. With `passing`, one instruction is
// stepped over that these options stopped the vCPU at, for every stop on this architecture is
// before the instruction.
[[nodiscard]] Result<kvm_guest_debug> guest_debug(const DebugOptions& options,
                                                  const DebugLimits& limits,
                                                  const std::optional<DebugStop>& passing = {});
// Why a vCPU with these options came out with its program counter at `pc`.
[[nodiscard]] DebugStop debug_stop(const DebugOptions& options, const kvm_debug_exit_arch& exit,
                                   uint64_t pc);

}  // namespace husk::kvm
