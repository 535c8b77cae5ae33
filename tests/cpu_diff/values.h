// Operand values: the ones where arithmetic goes wrong, far oftener than chance would give them.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "cpu_diff/engine.h"
#include "cpu_diff/rng.h"

namespace husk::cpu_diff {

uint64_t integer_value(Rng& rng);
uint64_t double_value(Rng& rng);
uint32_t float_value(Rng& rng);
uint32_t mxcsr_value(Rng& rng);  // at times with exceptions unmasked

// A whole FXSAVE image that FXRSTOR accepts.
void fill_fx(Rng& rng, std::span<uint8_t, 512> fx);

void fill_upper(Rng& rng, std::span<uint8_t, 256> upper);

// Random data of all those kinds.
void fill_data(Rng& rng, DataWindow& data);

}  // namespace husk::cpu_diff
