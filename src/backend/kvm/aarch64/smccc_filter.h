// Which of the guest's calls to its hypervisor come out of KVM (Linux 6.4 and later,
// Documentation/virt/kvm/devices/vm.rst, KVM_ARM_VM_SMCCC_CTRL).
#pragma once

#include "husk/error.h"

namespace husk::kvm {

// Before any vCPU runs. kUnsupported where this KVM has no filter.
[[nodiscard]] Result<void> forward_hypercalls(int vm);

}  // namespace husk::kvm
