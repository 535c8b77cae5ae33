// The decoder: a pure function from bytes and code size to an instruction's parts. It knows
// encodings (Intel SDM vol. 2, chapter 2 and appendix A), never meaning: no register file, no
// memory, no faults beyond "these bytes are no instruction".
#pragma once

#include <cstdint>
#include <span>

namespace husk::soft::decode {

enum class CodeSize : uint8_t { k16, k32, k64 };

enum class OpMap : uint8_t { kPrimary, k0F, k0F38, k0F3A };

enum class Rep : uint8_t { kNone, kRepe /* F3 */, kRepne /* F2 */ };

// Segment numbers are the encodings: ES CS SS DS FS GS.
constexpr uint8_t kNoRegister = 0xff;
constexpr uint8_t kRipBase = 16;

struct MemoryOperand {
  uint8_t base = kNoRegister;   // 0..15, kRipBase (relative to the next instruction) or kNoRegister
  uint8_t index = kNoRegister;  // 0..15 or kNoRegister
  uint8_t scale_log2 = 0;
  uint8_t segment = 3;       // effective: an override or the default of the addressing form; in
                             // 64-bit mode overrides other than FS and GS are dropped
  int64_t displacement = 0;  // sign-extended; the absolute offset for moffs forms (A0..A3)
};

struct Insn {
  uint8_t length = 0;  // bytes, prefixes included, 1..15
  OpMap map = OpMap::kPrimary;
  uint8_t opcode = 0;
  uint8_t operand_size = 4;  // 2, 4 or 8 bytes: mode, 66, REX.W, and the "default 64" opcodes of
                             // 64-bit mode (near branches, push, pop, enter, leave, ...) all taken
                             // in. Byte-sized opcodes are the meaning's business.
  uint8_t address_size = 4;  // 2, 4 or 8 bytes
  Rep rep = Rep::kNone;      // the last F2/F3 seen
  bool lock = false;
  bool operand_prefix = false;  // 66 present (a mandatory prefix for SSE)
  bool rex = false;             // any REX: registers 4..7 of byte operands are SPL BPL SIL DIL
  bool rex_w = false;
  bool vex = false;      // VEX-encoded: `rep` and `operand_prefix` are its pp, `rex_w` its W
  bool vex_256 = false;  // VEX.L
  uint8_t vvvv = 0;      // VEX's register, already inverted: 0 where a field must be unused
  uint8_t vector_index = kNoRegister;  // of gathers, in the place of mem.index
  bool has_modrm = false;
  bool memory = false;  // has_modrm with mod != 3, or a moffs form
  uint8_t mod = 0;
  uint8_t reg = 0;       // ModRM.reg with REX.R
  uint8_t rm = 0;        // ModRM.rm with REX.B (meaningful when !memory); for opcodes that carry a
                         // register in their low three bits, that register with REX.B
  uint8_t imm_size = 0;  // bytes of `imm` in the encoding
  uint8_t imm2_size = 0;
  uint8_t segment_override = kNoRegister;  // as encoded, for string instructions and moffs; already
                                           // dropped in 64-bit mode unless FS or GS
  MemoryOperand mem;
  int64_t imm = 0;    // sign-extended from imm_size, except 8-byte and moffs
  uint16_t imm2 = 0;  // far pointers' selector, ENTER's level

  // ModRM.reg without REX.R: the opcode extension of group opcodes.
  [[nodiscard]] uint8_t group() const { return reg & 7; }
};

enum class Status : uint8_t {
  kOk,
  kTruncated,  // the bytes end inside the instruction (fewer than 15 were given)
  kTooLong,    // more than 15 bytes: #GP(0)
  kInvalid,    // an encoding that is #UD whatever the CPU's state
};

// Decodes one instruction from the front of `bytes`; looks at no more than 15.
[[nodiscard]] Status decode(std::span<const uint8_t> bytes, CodeSize size, Insn& insn);

}  // namespace husk::soft::decode
