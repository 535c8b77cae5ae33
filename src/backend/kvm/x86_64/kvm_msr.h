// MSRs of a vCPU of KVM's, one at a time: a list would stop at the first that this KVM does not
// know.
#pragma once

#include <cstdint>
#include <optional>

#include "husk/error.h"

#include "contract/x86/vcpu_state.h"

namespace husk::kvm {

// nullopt: this KVM has no such MSR.
[[nodiscard]] std::optional<uint64_t> get_msr(int vcpu, uint32_t index);
// kCorrupt, naming it, for a value that KVM refuses.
[[nodiscard]] Result<void> set_msr(int vcpu, const contract::x86::Msr& msr);

}  // namespace husk::kvm
