// The canonical GICv3 state as bytes: little-endian, versioned, lists with their lengths before
// them.
#pragma once

#include <istream>
#include <ostream>

#include "husk/error.h"

#include "contract/aarch64/gic_state.h"

namespace husk::contract::aarch64 {

// Refuses, before it writes a byte, what read_gic_state() would refuse.
[[nodiscard]] Result<void> write_gic_state(const GicState& state, std::ostream& out);
// Consumes exactly what write_gic_state() wrote.
[[nodiscard]] Result<GicState> read_gic_state(std::istream& in);

}  // namespace husk::contract::aarch64
