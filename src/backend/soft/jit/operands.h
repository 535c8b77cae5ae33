// What an instruction of a form accesses in memory and does to general registers, for everything
// that looks at more than one instruction.
#pragma once

#include <array>
#include <cstdint>

#include "backend/soft/decode/insn.h"
#include "backend/soft/jit/form.h"

namespace husk::soft::jit {

struct Access {
  decode::MemoryOperand operand;
  int32_t extra = 0;  // to be added to the address
  uint16_t size = 0;
  bool write = false;
  bool aligned = false;  // to its size, else it faults
};

struct Accesses {
  std::array<Access, 2> list;
  uint8_t count = 0;
};

// In the order in which they are done. None of interpreted instructions.
[[nodiscard]] Accesses accesses_of(const decode::Insn& insn, const Form& form);

// A register after the instruction: `from` plus `delta`, or nothing that is known.
struct Assignment {
  uint8_t reg = 0;
  uint8_t from = decode::kNoRegister;
  int64_t delta = 0;
};

struct Assignments {
  std::array<Assignment, 3> list;
  uint8_t count = 0;
  void add(Assignment assignment) { list[count++] = assignment; }
};

// All registers that change, each once, from the values before. Nothing is said of interpreted
// instructions.
[[nodiscard]] Assignments assignments_of(const decode::Insn& insn, const Form& form);

}  // namespace husk::soft::jit
