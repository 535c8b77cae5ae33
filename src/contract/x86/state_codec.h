// The canonical vCPU state as bytes: one field list for both directions, little-endian, versioned.
#pragma once

#include <istream>
#include <ostream>

#include "husk/error.h"

#include "contract/x86/vcpu_state.h"

namespace husk::contract::x86 {

[[nodiscard]] Result<void> write_state(const VcpuState& state, std::ostream& out);
// Consumes exactly what write_state() wrote.
[[nodiscard]] Result<VcpuState> read_state(std::istream& in);

}  // namespace husk::contract::x86
