// What the guest is shown of the processor: what KVM can give, less what this VMM cannot keep, and
// the topology of the VM.
#pragma once

#include <cstdint>
#include <vector>

#include "husk/error.h"

#include "backend/kvm/common/kvm_api.h"
#include "backend/kvm/common/system.h"

namespace husk::kvm {

using CpuidEntries = std::vector<kvm_cpuid_entry2>;

// KVM's answer to what it supports.
[[nodiscard]] Result<CpuidEntries> supported_cpuid(const System& system);
// kUnsupported when that is less than x86-64-v2, naming the first feature that is missing.
[[nodiscard]] Result<void> require_baseline(const CpuidEntries& supported);

// For the vCPU `id` of `vcpus`, one thread a core in one package: no nested virtualization, no
// counters, no power management.
[[nodiscard]] CpuidEntries guest_cpuid(const CpuidEntries& supported, uint32_t id, uint32_t vcpus);

// As KVM_SET_CPUID2 wants it: the header and the entries behind it.
[[nodiscard]] std::vector<std::byte> cpuid_block(const CpuidEntries& entries);

}  // namespace husk::kvm
