// How an instruction is translated: its family, and for the largest one, instructions that stay
// themselves with other registers, what their operands are.
#pragma once

#include <cstdint>

#include "backend/soft/decode/insn.h"
#include "backend/soft/jit/assembler.h"

namespace husk::soft::jit {

enum class Family : uint8_t {
  kInterpreted,  // has no translation: the interpreter's handler
  kNothing,
  kDisableInterrupts,
  kSwapGs,
  kPlain,  // the instruction itself
  kMove,   // between registers, 4 bytes or 8
  kMoveImmediate,
  kLea,
  kShiftByCl,
  kConvert,     // CDQ and its kin
  kStatusWord,  // FNSTSW AX
  kZeroUpper,   // VZEROUPPER, VZEROALL
  kMultiply,
  kDivide,
  kCompareExchange,
  kPush,
  kPushImmediate,
  kPushMemory,
  kPop,
  kLeave,
  kJumpIf,
  kJump,  // from here on: ends the block
  kCall,
  kReturn,
  kJumpRegister,
  kJumpMemory,
  kCallRegister,
  kCallMemory,
};

enum class Role : uint8_t {
  kNone,    // the field holds a part of the opcode
  kSource,  // a general register
  kTarget,
  kBoth,
  kVector,  // an XMM or YMM register
};

struct Form {
  Family family = Family::kInterpreted;
  Encoding encoding{};
  uint8_t reg = 0, rm = 0;  // guest registers; rm unless there is a memory operand
  Role reg_role = Role::kNone, rm_role = Role::kNone;
  bool memory = false;
  bool writes_memory = false;
  uint8_t size = 0;  // of the memory operand, or of what the rm register takes
  // A memory operand that is not aligned to its size is the interpreter's, for #GP.
  bool aligned = false;
  bool needs_register = false;  // rm must not become memory, where it would mean something else
  uint8_t imm_bytes = 0;
  int64_t imm = 0;
  bool sse = false, x87 = false;
  bool avx = false;  // YMM registers, as VEX may change them
  Role vvvv_role = Role::kNone;
  bool last = false;  // the translation ends behind it
};

// Of an instruction of 64-bit code that is not undefined.
[[nodiscard]] Form form_of(const decode::Insn& insn);

}  // namespace husk::soft::jit
