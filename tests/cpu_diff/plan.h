// One instruction of a case before it is bytes.
#pragma once

#include <cstdint>
#include <span>

#include "cpu_diff/form.h"

namespace husk::cpu_diff {

constexpr uint8_t kNone = 0xff;

struct MemoryRef {
  uint8_t base = kNone, index = kNone;
  uint8_t scale_log2 = 0;
  int32_t displacement = 0;
  bool rip_relative = false;   // then `target` is what it must reach
  bool address32 = false;      // 67
  uint8_t segment_prefix = 0;  // 0x64, 0x65 or none
  uint64_t target = 0;         // the linear address, as far as the generator arranged it
};

struct Plan {
  const Form* form = nullptr;
  uint8_t operand_bytes = 4;
  bool rex_w = false;
  bool legacy_registers = false;  // no REX at all: 4..7 of byte operands are AH CH DH BH
  bool empty_rex = false;
  uint8_t reg = 0;  // the ModRM.reg register, or the one in the opcode
  uint8_t rm = 0;
  bool memory = false;
  MemoryRef mem;
  uint64_t imm = 0;
  uint8_t imm_bytes = 0;
  uint8_t imm2_bytes = 0;  // ENTER's level, above imm
  uint8_t repeat = 0;      // F2 or F3 on string instructions
  bool lock = false;
  uint8_t vvvv = 0;         // VEX's register
  uint8_t idle_prefix = 0;  // one that means nothing here
  uint32_t undefined = 0;   // beyond the form's
  bool ends_case = false;
};

// Writes the instruction as it must be at `address`; returns its length.
uint8_t encode(const Plan& plan, uint64_t address, std::span<uint8_t> out);

}  // namespace husk::cpu_diff
