// The generic timer's counter, which a guest counts time by.
#pragma once

#include <cstdint>

#include "husk/error.h"

#include "contract/aarch64/vcpu_state.h"

namespace husk::contract::aarch64 {

// kUnsupported, naming both: the state is from a counter of another frequency than this host's. The
// guest has read it from CNTFRQ_EL0, and on the new host its time would run at another speed.
[[nodiscard]] Result<void> check_frequency(const VcpuState& state, uint64_t host_hertz);

}  // namespace husk::contract::aarch64
