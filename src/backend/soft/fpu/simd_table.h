// SSE and MMX instructions: what each encoding's operands are. One row an instruction (Intel SDM
// vol. 2, appendix A).
#pragma once

#include <cstdint>
#include <optional>

#include "backend/soft/decode/insn.h"

namespace husk::soft::fpu {

// Where operands are, destination first. X: XMM register, M: MMX register, G: general register; rm
// forms may be memory.
enum class Operands : uint8_t {
  kXmmXmm,       // X <- X, X/m
  kXmmStore,     // X/m <- X
  kXmmGpr,       // X <- G/m
  kGprXmm,       // G <- X/m
  kGprStore,     // G/m <- X
  kMmxMmx,       // M <- M, M/m
  kMmxStore,     // M/m <- M
  kMmxGpr,       // M <- G/m
  kGprMmx,       // G <- M
  kGprStoreM,    // G/m <- M
  kXmmMmx,       // X <- M/m
  kMmxXmm,       // M <- X/m
  kXmmShift,     // X (in rm) <- X, immediate
  kMmxShift,     // M (in rm) <- M, immediate
  kFlags,        // compare X with X/m
  kStringIndex,  // PCMPxSTRI: ECX and flags
  kStringMask,   // PCMPxSTRM: XMM0 and flags
  kEmpty,        // EMMS
  kMasked,       // MASKMOVDQU, MASKMOVQ
};

struct SimdForm {
  Operands operands = Operands::kXmmXmm;
  uint8_t size = 16;  // of the memory operand
  bool aligned = false;
  bool arithmetic = false;  // MXCSR counts
  bool implicit_xmm0 = false;
  bool memory_only = false, register_only = false;
};

// 0 none, 1 66, 2 F3, 3 F2.
enum Prefix : uint8_t { kNp, k66, kF3, kF2 };

[[nodiscard]] std::optional<SimdForm> simd_form(const decode::Insn& insn);
[[nodiscard]] Prefix simd_prefix(const decode::Insn& insn);

}  // namespace husk::soft::fpu
