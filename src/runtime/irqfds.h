// Interrupts by eventfd, where the backend's VM has them.
#pragma once

#include <cstdint>

#include "husk/error.h"
#include "husk/seam.h"

#include "base/log.h"

namespace husk::runtime {

template <seam::HypervisorVm Vm>
Result<void> register_irqfd(Vm& vm, uint32_t gsi, int eventfd, int resample) {
  if constexpr (seam::HasIrqfds<Vm>) {
    return vm.register_irqfd(gsi, eventfd, resample);
  } else {
    return fail(ErrorKind::kUnsupported, "irqfd",
                "no kernel is below this machine that could raise interrupts for descriptors");
  }
}

// What could not be registered is not there to be taken away: that is no error.
template <seam::HypervisorVm Vm>
Result<void> unregister_irqfd(Vm& vm, uint32_t gsi, int eventfd) {
  if constexpr (seam::HasIrqfds<Vm>) {
    return vm.unregister_irqfd(gsi, eventfd);
  } else {
    base::log(base::LogLevel::kWarn, "irqfd of GSI {}: this machine has none", gsi);
    return {};
  }
}

}  // namespace husk::runtime
