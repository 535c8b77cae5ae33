// A debugger's options and stops in KVM's terms (api.rst, KVM_SET_GUEST_DEBUG and KVM_EXIT_DEBUG).
#pragma once

#include "husk/debug.h"
#include "husk/error.h"

#include "backend/kvm/common/kvm_api.h"

namespace husk::kvm {

// `flags` are the KVM_GUESTDBG_ bits that this KVM has. kUnsupported, naming it, for what it lacks.
[[nodiscard]] Result<kvm_guest_debug> guest_debug(const DebugOptions& options, uint32_t flags);
// As guest_debug(), to execute the one instruction that a breakpoint stopped the vCPU at: a step,
// without breakpoints, its accesses still watched.
[[nodiscard]] Result<kvm_guest_debug> guest_debug_past(DebugOptions options, uint32_t flags);
// Why a vCPU with these options came out.
[[nodiscard]] DebugStop debug_stop(const DebugOptions& options, const kvm_debug_exit_arch& exit);

}  // namespace husk::kvm
