// The canonical state of interrupt controllers and timer as bytes: one field list for both
// directions, little-endian, versioned, of one size.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "husk/error.h"

#include "contract/x86/irqchip_state.h"

namespace husk::contract::x86 {

[[nodiscard]] std::vector<std::byte> write_irqchip_state(const IrqchipState& state);
// kCorrupt for anything but what write_irqchip_state() makes of a state that chips can be in.
[[nodiscard]] Result<IrqchipState> read_irqchip_state(std::span<const std::byte> bytes);

}  // namespace husk::contract::x86
