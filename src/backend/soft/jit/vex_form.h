// The forms of VEX-encoded instructions.
#pragma once

#include "backend/soft/jit/form.h"

namespace husk::soft::jit {

[[nodiscard]] Form vex_form(const decode::Insn& insn);

}  // namespace husk::soft::jit
