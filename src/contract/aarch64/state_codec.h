// The canonical aarch64 vCPU state as bytes: one field list for both directions, little-endian,
// versioned.
#pragma once

#include <istream>
#include <ostream>

#include "husk/error.h"

#include "contract/aarch64/vcpu_state.h"

namespace husk::contract::aarch64 {

// Refuses, before it writes a byte, what read_state() would refuse.
[[nodiscard]] Result<void> write_state(const VcpuState& state, std::ostream& out);
// Consumes exactly what write_state() wrote.
[[nodiscard]] Result<VcpuState> read_state(std::istream& in);

}  // namespace husk::contract::aarch64
