// VEX-encoded instructions of AVX, AVX2, FMA, F16C, BMI1 and BMI2: what each encoding's operands
// are (Intel SDM vol. 2). Which of them a guest has is not decided here.
#pragma once

#include <cstdint>
#include <optional>

#include "backend/soft/decode/insn.h"

namespace husk::soft::fpu {

// Where operands are, destination first. V: vector register; G: general register; rm forms may be
// memory. Letters are those of the table's rows.
enum class VexOperands : uint8_t {
  kThree = 'N',         // V reg <- V vvvv, V rm
  kAccumulate = 'A',    // V reg <- V reg, V vvvv, V rm
  kBlend = '4',         // V reg <- V vvvv, V rm, V immediate
  kTwo = 'U',           // V reg <- V rm
  kStore = 'S',         // V rm <- V reg
  kMerge = 'M',         // V rm <- V vvvv, V reg
  kShift = 'i',         // V vvvv <- V rm, immediate
  kFlags = 'F',         // compare V reg with V rm
  kInsert = 'g',        // V reg <- V vvvv, G rm
  kFromGeneral = 'm',   // V reg <- G rm
  kToGeneral = 'x',     // G reg <- V rm
  kExtract = 's',       // G rm <- V reg
  kMaskedLoad = 'L',    // V reg <- memory, where V vvvv says so
  kMaskedStore = 'W',   // memory <- V reg, where V vvvv says so
  kGather = 'V',        // V reg <- memory at V indices, where V vvvv says so
  kZero = 'Z',          // VZEROUPPER, VZEROALL
  kStringIndex = 'I',   // VPCMPxSTRI
  kStringMask = 'K',    // VPCMPxSTRM
  kMaskMove = 'D',      // VMASKMOVDQU
  kLoadControl = 'l',   // VLDMXCSR
  kStoreControl = 't',  // VSTMXCSR
  // General registers only.
  kGeneral = 'n',         // reg <- vvvv, rm
  kGeneralSwapped = 'e',  // reg <- rm, vvvv
  kGeneralGroup = 'b',    // vvvv <- rm
  kGeneralTwo = 'r',      // reg <- rm
  kMultiply = 'X',        // MULX: reg, vvvv <- RDX, rm
};

struct VexForm {
  VexOperands operands = VexOperands::kThree;
  uint8_t size = 0;  // of the memory operand, or of its lanes that a mask says or a gather reads
  uint8_t alignment = 1;
  bool arithmetic = false;  // MXCSR counts
  bool flags = false;       // writes them
};

// Nothing: no instruction, in this mode or at all.
[[nodiscard]] std::optional<VexForm> vex_form(const decode::Insn& insn);

// The operands are all general registers: neither XCR0 nor CR0.TS matters.
[[nodiscard]] constexpr bool is_general(VexOperands operands) {
  using enum VexOperands;
  return operands == kGeneral || operands == kGeneralSwapped || operands == kGeneralGroup ||
         operands == kGeneralTwo || operands == kMultiply;
}

}  // namespace husk::soft::fpu
