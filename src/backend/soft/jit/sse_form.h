// SSE instructions as forms: those whose operands are XMM and general registers and memory.
#pragma once

#include "backend/soft/jit/form.h"

namespace husk::soft::jit {

[[nodiscard]] Form sse_form(const decode::Insn& insn);

}  // namespace husk::soft::jit
