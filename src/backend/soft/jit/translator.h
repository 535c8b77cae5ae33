// The translator of one vCPU.
#pragma once

#include <memory>

#include "backend/soft/interp/translator.h"

namespace husk::soft::jit {

// Null when the host gives no executable memory.
[[nodiscard]] std::unique_ptr<interp::Translator> create_translator();

}  // namespace husk::soft::jit
