// x87 instructions: the memory operand of each, and the ones that are handled apart (Intel SDM vol.
// 2, appendix B.17).
#pragma once

#include <optional>

#include "backend/soft/decode/insn.h"
#include "backend/soft/fpu/fpu.h"

namespace husk::soft::fpu {

struct X87Form {
  MemAccess memory = MemAccess::kNone;
  uint16_t size = 0;
  Special special = Special::kNone;
  bool waiting = true;
  bool reads_flags = false, writes_flags = false, writes_ax = false;
};

// FWAIT included; nullopt: no such instruction.
[[nodiscard]] std::optional<X87Form> x87_form(const decode::Insn& insn);

}  // namespace husk::soft::fpu
