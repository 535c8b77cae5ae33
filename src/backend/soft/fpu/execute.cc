// How compiled instructions run, and how the units' state moves between the guest's image and the
// host.
#include <xmmintrin.h>

#include <algorithm>

#include "backend/soft/fpu/image.h"
#include "backend/soft/fpu/trap.h"

namespace husk::soft::fpu {

namespace {

// What a pointer would tell is where the host's code and data are.
void hide_pointers(FpuState& state) {
  set_field<uint64_t>(state, kFip, 0);
  set_field<uint64_t>(state, kFdp, 0);
  set_field<uint16_t>(state, kFop, 0);
}

// The summary bits as the processor derives them whenever flags or masks are loaded.
void summarise(FpuState& state) {
  auto status = static_cast<uint16_t>(field<uint16_t>(state, kFsw) & ~(kStatusEs | kStatusBusy));
  if ((status & ~state.control_word & kStatusExceptions) != 0) status |= kStatusEs | kStatusBusy;
  set_field(state, kFsw, status);
}

}  // namespace

void settle(FpuState& state) {
  set_field(state, FpuState::kMxcsr + 4, kMxcsrValid);
  state.control_word = valid_control(field<uint16_t>(state, kFcw));
  set_field(state, kFcw, state.control_word);
  summarise(state);
}

Vector vector(const FpuState& state, uint8_t reg) {
  Vector value;
  std::memcpy(value.data(), state.image.data() + FpuState::kXmm + reg * 16u, 16);
  std::memcpy(value.data() + 16, state.upper.data() + reg * 16u, 16);
  return value;
}
void set_vector(FpuState& state, uint8_t reg, const Vector& value) {
  std::memcpy(state.image.data() + FpuState::kXmm + reg * 16u, value.data(), 16);
  std::memcpy(state.upper.data() + reg * 16u, value.data() + 16, 16);
}

FpuState::FpuState() {
  set_field(*this, kFcw, kControlInitial);
  set_field(*this, kMxcsr, kMxcsrInitial);
  set_field(*this, kMxcsr + 4, kMxcsrValid);
}

// Loads the guest's x87 registers; the host's XMM registers hold nothing of ours across the call.
void Unit::enter_x87(FpuState& state) {
  if (state.x87_live) return;
  alignas(64) std::array<uint8_t, 512> host = state.image;
  const uint32_t control_sse = _mm_getcsr();
  std::memcpy(host.data() + FpuState::kMxcsr, &control_sse, 4);
  asm volatile("fxrstor64 %0" ::"m"(host)
               : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                 "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  state.x87_live = true;
}

void Unit::leave_x87(FpuState& state) {
  if (!state.x87_live) return;
  alignas(64) std::array<uint8_t, 512> host;
  asm volatile("fxsave64 %0\n\tfninit" : "=m"(host));
  std::memcpy(state.image.data(), host.data(), FpuState::kMxcsr);
  std::memcpy(state.image.data() + kRegisters, host.data() + kRegisters, kRegistersSize);
  hide_pointers(state);
  state.x87_live = false;
}

void Unit::enter_mxcsr(FpuState& state) {
  if (state.mxcsr_live) return;
  _mm_setcsr(mxcsr(state) | kMxcsrMasks);
  state.mxcsr_live = true;
}

void Unit::lend(FpuState& state) {
  if ((mxcsr(state) & kMxcsrMasks) == kMxcsrMasks) enter_mxcsr(state);
}

bool Unit::lent(const FpuState& state) {
  return state.mxcsr_live && (mxcsr(state) & kMxcsrMasks) == kMxcsrMasks;
}

void Unit::lend_x87(FpuState& state) {
  if (!unmasked(state) && !math_fault_pending(state)) enter_x87(state);
}

void Unit::leave(FpuState& state) {
  if (state.mxcsr_live) {
    set_field(state, FpuState::kMxcsr, mxcsr(state) | (_mm_getcsr() & kMxcsrFlags));
    _mm_setcsr(kMxcsrInitial);
    state.mxcsr_live = false;
  }
  leave_x87(state);
}

bool Unit::math_fault_pending(const FpuState& state) {
  return !state.x87_live && (field<uint16_t>(state, kFsw) & kStatusEs) != 0;
}

bool Unit::unmasked(const FpuState& state) {
  return (state.control_word & kControlMasks) != kControlMasks;
}

bool Unit::store_withheld(const FpuState& state) {
  constexpr uint16_t kInexact = 0x20;
  const uint16_t raised = field<uint16_t>(state, kFsw) & kStatusExceptions & ~kInexact;
  return (raised & ~state.control_word) != 0;
}

Outcome Unit::execute(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory,
                      uint64_t& rflags) {
  const bool x87 = insn.unit == UnitKind::kX87 || insn.unit == UnitKind::kMmx;
  if (insn.arithmetic) enter_mxcsr(state);
  if (x87) enter_x87(state);
  Outcome outcome = Outcome::kDone;
  if (insn.special != Special::kNone) {
    outcome = run_special(insn, state, gpr, memory);
  } else if (insn.arithmetic && (mxcsr(state) & kMxcsrMasks) != kMxcsrMasks) {
    outcome = run_unmasked(insn, state, gpr, memory, rflags);
  } else {
    insn.thunk(state.image.data(), gpr, memory, &rflags);
  }
  // A pending exception must not stay in the host's unit, where our next waiting instruction would
  // raise it.
  if (x87 && unmasked(state)) leave_x87(state);
  return outcome;
}

// The instruction runs with the guest's own masks, so that what an exception leaves behind is the
// hardware's own doing.
Outcome Unit::run_unmasked(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory,
                           uint64_t& rflags) {
  const uint32_t control = mxcsr(state);
  _mm_setcsr(control | (_mm_getcsr() & kMxcsrFlags));
  const bool done = run_trapping(insn.thunk, state.image.data(), gpr, memory, &rflags);
  set_field(state, FpuState::kMxcsr, control | (_mm_getcsr() & kMxcsrFlags));
  _mm_setcsr(mxcsr(state) | kMxcsrMasks);
  return done ? Outcome::kDone : Outcome::kSimdFault;
}

// An instruction that may change the control word; the host's unit does what is to be done.
void Unit::run_control(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory) {
  uint64_t no_flags = 0;
  insn.thunk(state.image.data(), gpr, memory, &no_flags);
  asm volatile("fnstcw %0" : "=m"(state.control_word));
}

// FNSTENV and FNSAVE go by a copy, for other vCPUs see the guest's memory at any moment.
void Unit::store_environment(const CompiledInsn& insn, FpuState& state, uint64_t* gpr,
                             void* memory) {
  constexpr size_t kNarrowPointers = 6, kPointers = 12, kNarrowEnd = 14, kEnd = 28;
  const size_t begin = insn.narrow ? kNarrowPointers : kPointers;
  const size_t end = insn.narrow ? kNarrowEnd : kEnd;
  std::array<uint8_t, 108> copy{};
  run_control(insn, state, gpr, copy.data());
  std::fill(copy.begin() + begin, copy.begin() + end, uint8_t{0});
  std::memcpy(memory, copy.data(), insn.size);
}

// The image is copied before it is looked at: other vCPUs may change it at any moment.
Outcome Unit::restore_image(FpuState& state, const void* memory) {
  FpuState loaded = state;
  std::memcpy(loaded.image.data(), memory, kFxsaveUsed);
  if ((mxcsr(loaded) & ~kMxcsrValid) != 0) return Outcome::kProtection;
  settle(loaded);
  state = loaded;
  return Outcome::kDone;
}

Outcome Unit::run_special(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory) {
  switch (insn.special) {
    case Special::kControl:
      run_control(insn, state, gpr, memory);
      return Outcome::kDone;
    case Special::kStoreEnvironment:
      store_environment(insn, state, gpr, memory);
      return Outcome::kDone;
    case Special::kFxsave:
      leave(state);
      std::memcpy(memory, state.image.data(), kFxsaveUsed);
      return Outcome::kDone;
    case Special::kFxrstor:
      leave(state);
      return restore_image(state, memory);
    case Special::kLdmxcsr: {
      uint32_t control;
      std::memcpy(&control, memory, 4);
      if ((control & ~kMxcsrValid) != 0) return Outcome::kProtection;
      if (state.mxcsr_live) _mm_setcsr(kMxcsrInitial);
      state.mxcsr_live = false;
      set_field(state, FpuState::kMxcsr, control);
      return Outcome::kDone;
    }
    case Special::kStmxcsr: {
      const uint32_t control = mxcsr(state) | (state.mxcsr_live ? _mm_getcsr() & kMxcsrFlags : 0);
      std::memcpy(memory, &control, 4);
      return Outcome::kDone;
    }
    case Special::kNone:
      break;
  }
  return Outcome::kDone;
}

void save_image(const FpuState& state, std::array<uint8_t, 512>& image) { image = state.image; }

Result<void> load_image(FpuState& state, const std::array<uint8_t, 512>& image) {
  FpuState loaded;
  loaded.image = image;
  if ((mxcsr(loaded) & ~kMxcsrValid) != 0)
    return fail(ErrorKind::kCorrupt, "FPU state", "reserved bits are set in MXCSR");
  settle(loaded);
  state = loaded;
  return {};
}

}  // namespace husk::soft::fpu
