// What the interpreter is known to do otherwise than a processor. Runs neither make nor report
// these unless asked, so that they find what is not known; what is mended is taken out.
//
// Not made (GeneratorOptions::known_gaps):
//   - unmasked floating-point exceptions. x87: the instruction that met one has stored or popped
//   its masked result, the
//     summary bits ES and B are not kept, and a page fault comes before a pending #MF. SSE: #XM
//     leaves flags in MXCSR of steps that a processor did not come to, and a tiny but exact result
//     is no underflow;
//   - single steps: after INT3, and after each iteration of a repeated string instruction but the
//   last;
//   - bit strings under 67 with FS or GS: the linear address, not the offset, is cut to 32 bits;
//   - control words whose fixed bits are not as FXRSTOR makes them.
// Made, and tolerated (CompareOptions::known_gaps): the functions below.
#pragma once

#include <cstdint>

#include "cpu_diff/engine.h"
#include "cpu_diff/form.h"

namespace husk::cpu_diff {

// A push or pop at a non-canonical address is #SS(0) (Intel SDM vol. 3, 6.15); the interpreter's is
// #GP(0).
constexpr bool is_gap(uint8_t expected_vector, uint8_t vector) {
  return expected_vector == 12 && vector == 13;
}

// A fault within REP CMPS or REP SCAS leaves the flags as they were before the first iteration
// (Intel SDM vol. 2, REP); the interpreter's are those of the last one that completed.
constexpr uint32_t gap_in_flags(const CaseInsn& insn) {
  return insn.repeats_compare ? kStatusFlags : 0;
}

}  // namespace husk::cpu_diff
