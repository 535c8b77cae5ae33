// An exception that KVM took from the guest and that is the guest's own: what the processor does
// when it takes one to EL1 (Arm ARM, DDI 0487, D1.3.1 and the pseudocode AArch64.TakeException).
#pragma once

#include <cstdint>

#include "husk/error.h"

namespace husk::kvm {

// From AArch64 code at EL0 or EL1; those of SCTLR_EL1 and VBAR_EL1 are the guest's.
struct ExceptionEntry {
  uint64_t pc = 0, pstate = 0;
};
[[nodiscard]] ExceptionEntry synchronous_entry(uint64_t pstate, uint64_t sctlr_el1,
                                               uint64_t vbar_el1);

// The vCPU takes a synchronous exception with that syndrome, for the instruction at its program
// counter. On the vCPU's own thread.
[[nodiscard]] Result<void> take_synchronous_exception(int vcpu, uint64_t esr_el1);

}  // namespace husk::kvm
