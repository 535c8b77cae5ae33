// x87, MMX and SSE of the built-in CPU, carried out by the host's own units: each instruction
// becomes a small piece of host code (a thunk) that is the same instruction with its operands moved
// into place.
//
// While guest code runs, the guest's x87 registers, and the rounding and flags of its MXCSR, live
// in the host's units; C++ code of ours uses neither. leave() puts them back into FpuState and
// gives the host its defaults; it is called before anything else runs on the thread. A guest that
// unmasks exceptions is slower: its x87 registers come and go with each instruction, and #XM is
// taken from the host's SIGFPE (trap.h).
//
// One Unit a vCPU, on its thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "husk/error.h"

#include "backend/soft/decode/insn.h"
#include "backend/soft/fpu/code_arena.h"

namespace husk::soft::fpu {

// The FXSAVE64 image (Intel SDM vol. 1, 10.5.1), which XMM registers live in at all times, and
// behind it the upper halves of YMM registers.
struct FpuState {
  static constexpr size_t kXmm = 160, kMxcsr = 24, kUpper = 512;
  alignas(64) std::array<uint8_t, kUpper> image{};
  std::array<uint8_t, 256> upper{};
  uint16_t control_word = 0x037f;
  bool x87_live = false;  // the host's x87 registers are the guest's; never with an exception
                          // unmasked
  bool mxcsr_live = false;

  FpuState();
};

enum class UnitKind : uint8_t {
  kX87,
  kMmx,
  kSse,
  kState,    // FXSAVE and its kin
  kAvx,      // VEX-encoded
  kGeneral,  // VEX-encoded, with general registers only
};
enum class MemAccess : uint8_t { kNone, kRead, kWrite };

// Host code: `image` is FpuState::image, `gpr` the guest's registers, `memory` the operand's bytes
// on the host, `flags` in and out are RFLAGS.
using Thunk = void (*)(void* image, uint64_t* gpr, void* memory, uint64_t* flags);

// What is not a thunk but C++: instructions that read or load the units' own state.
enum class Special : uint8_t {
  kNone,
  kFxsave,
  kFxrstor,
  kLdmxcsr,
  kStmxcsr,
  kControl,           // FLDCW, FLDENV, FRSTOR, FNINIT, FNCLEX: may change the control word
  kStoreEnvironment,  // FNSTENV, FNSAVE
};

struct CompiledInsn {
  Thunk thunk = nullptr;
  UnitKind unit = UnitKind::kSse;
  Special special = Special::kNone;
  MemAccess memory = MemAccess::kNone;
  uint16_t size = 0;          // bytes of the memory operand
  uint8_t alignment = 1;      // 16, 32: a misaligned operand is #GP(0)
  bool arithmetic = false;    // reads MXCSR: may raise #XM
  bool waiting = false;       // reports a pending #MF first
  bool masked_store = false;  // MASKMOVQ, MASKMOVDQU: writes some bytes of its operand
  // VEX-encoded moves whose mask is a register: bytes of a lane, and the registers.
  uint8_t lane = 0;
  uint8_t reg = 0, mask = 0;
  bool gathers = false;  // has no thunk; indices are of `index_size` bytes
  uint8_t index = 0, index_size = 0, scale_log2 = 0;
  bool reads_flags = false, writes_flags = false;
  bool wide = false;    // REX.W, of FXSAVE and FXRSTOR
  bool narrow = false;  // 16-bit forms of the environment
};

enum class Outcome : uint8_t { kDone, kSimdFault /* #XM */, kProtection /* #GP(0) */ };

// A YMM register.
using Vector = std::array<uint8_t, 32>;
[[nodiscard]] Vector vector(const FpuState& state, uint8_t reg);
void set_vector(FpuState& state, uint8_t reg, const Vector& value);

[[nodiscard]] bool has_upper(const FpuState& state);  // any that is not zero

// State components, as XCR0 and XSAVE's header have them (Intel SDM vol. 1, 13.1), and XSAVE's area
// in its standard format (13.4) as far as AVX.
constexpr uint64_t kXcr0X87 = 1, kXcr0Sse = 2, kXcr0Avx = 4;
constexpr uint32_t kXsaveLegacy = 512, kXsaveUpper = 576, kXsaveArea = 832;

// XSAVE and XRSTOR (13.7, 13.8); `mask`: the components that are asked for. While no register is in
// the host's units.
struct SavedBytes {
  size_t begin, end;  // of the area
};
constexpr size_t kSavedPieces = 6;
// What was written, which is all that may be.
[[nodiscard]] std::array<SavedBytes, kSavedPieces> save_extended(const FpuState& state,
                                                                 uint64_t mask, uint8_t* area);
// `enabled`: XCR0. False: #GP, and nothing has changed.
[[nodiscard]] bool restore_extended(FpuState& state, uint64_t mask, uint64_t enabled,
                                    const uint8_t* area);

class Unit {
 public:
  // Null: no instruction of these units, or none that this host has. Valid until forget_code().
  [[nodiscard]] const CompiledInsn* compile(const decode::Insn& insn);
  // Code memory is used up; the caller drops everything that holds a CompiledInsn and calls
  // forget_code().
  [[nodiscard]] bool exhausted() const { return arena_.room() < kLongestThunk; }
  void forget_code();
  void release_room() { arena_.release_room(); }  // of code

  // Whether a waiting instruction has to report #MF; asked before its operands are touched.
  [[nodiscard]] static bool math_fault_pending(const FpuState& state);

  // Whether x87 runs with an exception unmasked.
  [[nodiscard]] static bool unmasked(const FpuState& state);
  // Whether the store that has just run, unmasked, met an exception that keeps its result from
  // memory: any but inexactness.
  [[nodiscard]] static bool store_withheld(const FpuState& state);

  // Runs it. `memory` is host memory that was checked for the access, or a bounce buffer. On a
  // fault nothing has changed but MXCSR's flags.
  Outcome execute(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory,
                  uint64_t& rflags);

  // Gives the host the guest's MXCSR, if it masks all exceptions: then SSE instructions of the
  // guest may run without execute().
  void lend(FpuState& state);
  [[nodiscard]] static bool lent(const FpuState& state);

  // The same for x87, while FpuState::x87_live.
  void lend_x87(FpuState& state);

  void leave(FpuState& state);

 private:
  void enter_x87(FpuState& state);
  void leave_x87(FpuState& state);
  void enter_mxcsr(FpuState& state);
  Outcome run_special(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory);
  Outcome run_unmasked(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory,
                       uint64_t& rflags);
  void run_control(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory);
  void store_environment(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory);
  Outcome restore_image(FpuState& state, const void* memory);

  static constexpr size_t kLongestThunk = 256;
  CodeArena arena_{size_t{4} << 20};
  std::unordered_map<uint64_t, std::unique_ptr<CompiledInsn>> compiled_;
};

// The canonical image, and back; an image whose MXCSR has reserved bits is refused.
void save_image(const FpuState& state, std::array<uint8_t, 512>& image);
[[nodiscard]] Result<void> load_image(FpuState& state, const std::array<uint8_t, 512>& image);

}  // namespace husk::soft::fpu
