// Interrupts that an eventfd's signal raises in the kernel, without anybody in between.
#pragma once

#include <cstdint>

#include "husk/error.h"

#include "backend/kvm/common/system.h"

namespace husk::kvm {

// seam::HasIrqfds's, for an interrupt that the VM has (api.rst, KVM_IRQFD). kUnsupported where this
// KVM has none, or none with a resampling descriptor.
[[nodiscard]] Result<void> register_irqfd(const System& system, int vm, uint32_t gsi, int eventfd,
                                          int resample);
[[nodiscard]] Result<void> unregister_irqfd(int vm, uint32_t gsi, int eventfd);

}  // namespace husk::kvm
