// What forms are made of, for the files that know one map of opcodes each.
#pragma once

#include "backend/soft/jit/form.h"

namespace husk::soft::jit {

// AH, CH, DH or BH.
[[nodiscard]] bool high_byte(const decode::Insn& insn, uint8_t reg);
// The operand size, or 1 for the even opcodes of most instructions.
[[nodiscard]] uint8_t byte_or_full(const decode::Insn& insn);

[[nodiscard]] Form family(Family what);
// An instruction that stays itself. `size` is that of the operands; `reg_size` where the register
// operand's differs. Interpreted when an operand is a high byte.
[[nodiscard]] Form plain(const decode::Insn& insn, uint8_t size, Role reg, Role rm,
                         uint8_t reg_size = 0);
[[nodiscard]] Form near_branch(const decode::Insn& insn, Family what);

[[nodiscard]] Form primary_form(const decode::Insn& insn);
[[nodiscard]] Form two_byte_form(const decode::Insn& insn);

}  // namespace husk::soft::jit
