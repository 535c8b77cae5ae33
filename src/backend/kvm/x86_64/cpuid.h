// What the guest is shown of the processor: what KVM can give, less what this VMM cannot keep, and
// the topology of the VM.
#pragma once

#include <cstdint>

#include "husk/error.h"

#include "backend/kvm/common/system.h"
#include "contract/x86/cpuid.h"

namespace husk::kvm {

// KVM's answer to what it supports.
[[nodiscard]] Result<contract::x86::CpuidTable> supported_cpuid(const System& system);

// What vCPU `id` of `vcpus` is shown, of a model's table, one thread a core in one package: no
// nested virtualization, no counters, no power management.
[[nodiscard]] contract::x86::CpuidTable guest_cpuid(const contract::x86::CpuidTable& model,
                                                    uint32_t id, uint32_t vcpus);

// KVM_SET_CPUID2. KVM refuses another table than before once the vCPU has run.
[[nodiscard]] Result<void> set_cpuid(int vcpu, const contract::x86::CpuidTable& table);

}  // namespace husk::kvm
