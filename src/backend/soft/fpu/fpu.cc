#include "backend/soft/fpu/fpu.h"

#include <cpuid.h>
#include <xmmintrin.h>

#include <cstring>

#include "backend/soft/fpu/simd_table.h"
#include "backend/soft/fpu/thunk_writer.h"
#include "backend/soft/fpu/x87_table.h"

namespace husk::soft::fpu {

using decode::Insn;
using decode::OpMap;

namespace {

constexpr uint16_t kX87Masks = 0x3f;
constexpr uint16_t kX87Initial = 0x037f;
constexpr uint32_t kMxcsrInitial = 0x1f80, kMxcsrMasks = 0x1f80, kMxcsrFlags = 0x3f,
                   kMxcsrValid = 0xffff;
constexpr uint16_t kStatusEs = 0x80, kStatusBusy = 0x8000;
constexpr size_t kFcw = 0, kFsw = 2, kFtw = 4, kFip = 8;

template <class T>
T field(const FpuState& state, size_t offset) {
  T value;
  std::memcpy(&value, state.image.data() + offset, sizeof(T));
  return value;
}
template <class T>
void set_field(FpuState& state, size_t offset, T value) {
  std::memcpy(state.image.data() + offset, &value, sizeof(T));
}

uint32_t mxcsr(const FpuState& state) { return field<uint32_t>(state, FpuState::kMxcsr); }

// Everything that identifies a thunk: two instructions with the same key are the same host code.
uint64_t key_of(const Insn& insn) {
  return uint64_t{insn.opcode} | static_cast<uint64_t>(insn.map) << 8 |
         static_cast<uint64_t>(insn.rep) << 10 | uint64_t{insn.operand_prefix} << 12 |
         uint64_t{insn.rex_w} << 13 | uint64_t{insn.memory} << 14 | uint64_t{insn.reg} << 16 |
         uint64_t{insn.memory ? uint8_t{0} : insn.rm} << 20 |
         static_cast<uint64_t>(static_cast<uint8_t>(insn.imm)) << 24 |
         uint64_t{insn.operand_size} << 32;
}

struct HostFeatures {
  bool sse3, ssse3, sse41, sse42, aes, pclmul, sha;
};
const HostFeatures& host() {
  static const HostFeatures features = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    __get_cpuid(1, &eax, &ebx, &ecx, &edx);
    const auto bit = [&](int n) { return (ecx >> n & 1) != 0; };
    HostFeatures f{bit(0), bit(9), bit(19), bit(20), bit(25), bit(1), false};
    __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
    f.sha = (ebx >> 29 & 1) != 0;
    return f;
  }();
  return features;
}

// A guest must not make the host execute what the host has not.
bool host_has(const Insn& insn) {
  const uint8_t op = insn.opcode;
  if (insn.map == OpMap::k0F) {
    const Prefix p = simd_prefix(insn);
    const bool sse3 = ((op == 0x12 || op == 0x16) && p >= kF3) || op == 0x7c || op == 0x7d ||
                      op == 0xd0 || op == 0xf0;
    return !sse3 || host().sse3;
  }
  if (insn.map == OpMap::k0F38) {
    if (op <= 0x0b || (op >= 0x1c && op <= 0x1e)) return host().ssse3;
    if (op == 0x37) return host().sse42;
    if (op >= 0xdb && op <= 0xdf) return host().aes;
    if (op >= 0xc8 && op <= 0xcd) return host().sha;
    return host().sse41;
  }
  if (op == 0x0f) return host().ssse3;
  if (op >= 0x60 && op <= 0x63) return host().sse42;
  if (op == 0x44) return host().pclmul;
  if (op == 0xdf) return host().aes;
  if (op == 0xcc) return host().sha;
  return host().sse41;
}

UnitKind unit_of(const SimdForm& form) {
  switch (form.operands) {
    case Operands::kMmxMmx:
    case Operands::kMmxStore:
    case Operands::kMmxGpr:
    case Operands::kGprMmx:
    case Operands::kGprStoreM:
    case Operands::kMmxShift:
    case Operands::kEmpty:
    case Operands::kXmmMmx:
    case Operands::kMmxXmm:
      return UnitKind::kMmx;
    case Operands::kMasked:
      return form.size == 8 ? UnitKind::kMmx : UnitKind::kSse;
    default:
      return UnitKind::kSse;
  }
}

MemAccess access_of(const SimdForm& form) {
  switch (form.operands) {
    case Operands::kXmmStore:
    case Operands::kGprStore:
    case Operands::kMmxStore:
    case Operands::kGprStoreM:
      return MemAccess::kWrite;
    default:
      return MemAccess::kRead;
  }
}

bool writes_xmm(Operands operands) {
  return operands == Operands::kXmmXmm || operands == Operands::kXmmGpr ||
         operands == Operands::kXmmMmx;
}

// FXSAVE, FXRSTOR, LDMXCSR, STMXCSR.
bool state_form(const Insn& insn, CompiledInsn& out) {
  if (insn.map != OpMap::k0F || insn.opcode != 0xae || !insn.memory || insn.group() > 3 ||
      insn.operand_prefix || insn.rep != decode::Rep::kNone)
    return false;
  constexpr Special kKinds[] = {Special::kFxsave, Special::kFxrstor, Special::kLdmxcsr,
                                Special::kStmxcsr};
  out.special = kKinds[insn.group()];
  out.unit = insn.group() < 2 ? UnitKind::kState : UnitKind::kSse;
  out.memory = insn.group() == 0 || insn.group() == 3 ? MemAccess::kWrite : MemAccess::kRead;
  out.size = insn.group() < 2 ? 512 : 4;
  out.alignment = insn.group() < 2 ? 16 : 1;
  out.wide = insn.rex_w;
  return true;
}

// The 512-byte image without what would tell about the host.
void hide_pointers(FpuState& state) {
  set_field<uint64_t>(state, kFip, 0);
  set_field<uint64_t>(state, kFip + 8, 0);
  set_field<uint16_t>(state, 6, 0);  // FOP
}

}  // namespace

FpuState::FpuState() {
  std::memcpy(image.data(), &kX87Initial, 2);
  std::memcpy(image.data() + kMxcsr, &kMxcsrInitial, 4);
  std::memcpy(image.data() + kMxcsr + 4, &kMxcsrValid, 4);
}

const CompiledInsn* Unit::compile(const Insn& insn) {
  const uint64_t key = key_of(insn);
  if (const auto found = compiled_.find(key); found != compiled_.end()) return found->second.get();
  auto out = std::make_unique<CompiledInsn>();
  ThunkWriter writer;
  const bool x87 = insn.map == OpMap::kPrimary;
  if (x87) {
    const auto form = x87_form(insn);
    if (!form) return nullptr;
    out->unit = UnitKind::kX87;
    out->special = form->special;
    out->memory = form->memory;
    out->size = form->size;
    out->waiting = form->waiting;
    out->reads_flags = form->reads_flags;
    out->writes_flags = form->writes_flags;
    out->narrow = insn.operand_size == 2;
    Insn plain = insn;
    plain.operand_prefix = insn.operand_size == 2 && form->size != 0;
    if (insn.opcode == 0x9b) {
      writer.wait();
    } else {
      writer.x87(plain, form->reads_flags, form->writes_flags, form->writes_ax);
    }
  } else if (!state_form(insn, *out)) {
    const auto form = simd_form(insn);
    if (!form || !host_has(insn)) return nullptr;
    out->unit = unit_of(*form);
    const bool masked = form->operands == Operands::kMasked;
    if (insn.memory || masked) {
      out->memory = masked ? MemAccess::kWrite : access_of(*form);
      out->size = form->size;
      out->alignment = form->aligned ? 16 : 1;
    }
    if (masked) out->special = Special::kMaskedStore;
    out->arithmetic = form->arithmetic;
    out->writes_flags = form->operands == Operands::kFlags ||
                        form->operands == Operands::kStringIndex ||
                        form->operands == Operands::kStringMask;
    out->destination = writes_xmm(form->operands) ? insn.reg : 0xff;
    writer.simd(insn, *form);
  }
  if (!writer.code().empty()) {
    out->thunk = reinterpret_cast<Thunk>(const_cast<void*>(arena_.add(writer.code())));
    if (out->thunk == nullptr) return nullptr;
  }
  return compiled_.emplace(key, std::move(out)).first->second.get();
}

void Unit::forget_code() {
  compiled_.clear();
  arena_.reset();
}

// Loads the guest's x87 registers; the host's XMM registers hold nothing of ours across the call.
void Unit::enter_x87(FpuState& state) {
  if (state.x87_live) return;
  alignas(64) std::array<uint8_t, 512> host = state.image;
  const auto control = static_cast<uint16_t>(state.control_word | kX87Masks);
  std::memcpy(host.data() + kFcw, &control, 2);
  uint16_t status;
  std::memcpy(&status, host.data() + kFsw, 2);
  status &= static_cast<uint16_t>(~(kStatusEs | kStatusBusy));
  std::memcpy(host.data() + kFsw, &status, 2);
  const uint32_t control_sse = _mm_getcsr();
  std::memcpy(host.data() + FpuState::kMxcsr, &control_sse, 4);
  asm volatile("fxrstor64 %0" ::"m"(host)
               : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                 "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  state.x87_live = true;
}

void Unit::enter_mxcsr(FpuState& state) {
  if (state.mxcsr_live) return;
  _mm_setcsr(mxcsr(state) | kMxcsrMasks);
  state.mxcsr_live = true;
}

void Unit::leave(FpuState& state) {
  if (state.mxcsr_live) {
    set_field(state, FpuState::kMxcsr, mxcsr(state) | (_mm_getcsr() & kMxcsrFlags));
    _mm_setcsr(kMxcsrInitial);
    state.mxcsr_live = false;
  }
  if (!state.x87_live) return;
  alignas(64) std::array<uint8_t, 512> host;
  asm volatile("fxsave64 %0\n\tfninit" : "=m"(host));
  std::memcpy(state.image.data(), host.data(), FpuState::kMxcsr);
  std::memcpy(state.image.data() + 32, host.data() + 32, 128);
  set_field(state, kFcw, state.control_word);
  auto status = field<uint16_t>(state, kFsw);
  const bool unmasked = (status & ~state.control_word & kX87Masks) != 0;
  status &= static_cast<uint16_t>(~(kStatusEs | kStatusBusy));
  set_field(state, kFsw, static_cast<uint16_t>(status | (unmasked ? kStatusEs | kStatusBusy : 0)));
  hide_pointers(state);
  state.x87_live = false;
}

bool Unit::math_fault_pending(FpuState& state) {
  if ((state.control_word & kX87Masks) == kX87Masks) return false;
  uint16_t status = field<uint16_t>(state, kFsw);
  if (state.x87_live) asm volatile("fnstsw %0" : "=a"(status));
  return (status & ~state.control_word & kX87Masks) != 0;
}

Outcome Unit::execute(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory,
                      uint64_t& rflags) {
  if (insn.waiting && math_fault_pending(state)) return Outcome::kMathFault;
  if (insn.unit == UnitKind::kMmx && math_fault_pending(state)) return Outcome::kMathFault;
  if (insn.special != Special::kNone && insn.special != Special::kMaskedStore)
    return run_special(insn, state, gpr, memory);
  if (insn.unit == UnitKind::kX87 || insn.unit == UnitKind::kMmx) enter_x87(state);
  if (!insn.arithmetic) {
    insn.thunk(state.image.data(), gpr, memory, &rflags);
    return Outcome::kDone;
  }
  enter_mxcsr(state);
  const uint32_t control = mxcsr(state);
  if ((control & kMxcsrMasks) == kMxcsrMasks) {
    insn.thunk(state.image.data(), gpr, memory, &rflags);
    return Outcome::kDone;
  }
  // Some exception is unmasked: run on the side and look at the flags before anything counts.
  alignas(16) std::array<uint8_t, 16> kept{};
  uint8_t* destination = state.image.data() + FpuState::kXmm + insn.destination * 16u;
  if (insn.destination != 0xff) std::memcpy(kept.data(), destination, 16);
  std::array<uint64_t, 16> kept_gpr;
  std::memcpy(kept_gpr.data(), gpr, sizeof(kept_gpr));
  const uint64_t kept_flags = rflags;
  const uint32_t before = _mm_getcsr() & kMxcsrFlags;
  _mm_setcsr((control & ~kMxcsrFlags) | kMxcsrMasks);
  insn.thunk(state.image.data(), gpr, memory, &rflags);
  const uint32_t raised = _mm_getcsr() & kMxcsrFlags;
  _mm_setcsr((control & ~kMxcsrFlags) | kMxcsrMasks | before | raised);
  set_field(state, FpuState::kMxcsr, control | before | raised);
  if ((raised & ~(control >> 7) & kMxcsrFlags) == 0) return Outcome::kDone;
  if (insn.destination != 0xff) std::memcpy(destination, kept.data(), 16);
  std::memcpy(gpr, kept_gpr.data(), sizeof(kept_gpr));
  rflags = kept_flags;
  return Outcome::kSimdFault;
}

Outcome Unit::run_special(const CompiledInsn& insn, FpuState& state, uint64_t* gpr, void* memory) {
  const auto read16 = [&] {
    uint16_t value;
    std::memcpy(&value, memory, 2);
    return value;
  };
  uint64_t no_flags = 0;
  const size_t pointers =
      insn.narrow ? 6 : 12;  // where the environment's instruction pointer starts
  const size_t environment = insn.narrow ? 14 : 28;
  switch (insn.special) {
    case Special::kFxsave: {
      leave(state);
      std::memcpy(memory, state.image.data(), 416);  // the rest is the guest's to use
      return Outcome::kDone;
    }
    case Special::kFxrstor: {
      leave(state);
      uint32_t control;
      std::memcpy(&control, static_cast<uint8_t*>(memory) + FpuState::kMxcsr, 4);
      if ((control & ~kMxcsrValid) != 0) return Outcome::kProtection;
      std::memcpy(state.image.data(), memory, 416);
      set_field(state, FpuState::kMxcsr + 4, kMxcsrValid);
      state.control_word = field<uint16_t>(state, kFcw);
      return Outcome::kDone;
    }
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
    case Special::kFldcw: {
      enter_x87(state);
      state.control_word = static_cast<uint16_t>((read16() & 0x1f3f) | 0x40);
      const auto host_control = static_cast<uint16_t>(state.control_word | kX87Masks);
      asm volatile("fldcw %0" ::"m"(host_control));
      return Outcome::kDone;
    }
    case Special::kFnstcw:
      std::memcpy(memory, &state.control_word, 2);
      return Outcome::kDone;
    case Special::kFninit:
      enter_x87(state);
      asm volatile("fninit");
      state.control_word = kX87Initial;
      return Outcome::kDone;
    case Special::kFnclex:
      enter_x87(state);
      asm volatile("fnclex");
      return Outcome::kDone;
    case Special::kFnstenv:
    case Special::kFnsave: {
      enter_x87(state);
      insn.thunk(state.image.data(), gpr, memory, &no_flags);
      auto* bytes = static_cast<uint8_t*>(memory);
      std::memcpy(bytes, &state.control_word, 2);
      std::memset(bytes + pointers, 0, environment - pointers);
      if (insn.special == Special::kFnsave) {
        state.control_word = kX87Initial;
      } else {
        state.control_word |= kX87Masks;
      }
      return Outcome::kDone;
    }
    case Special::kFldenv:
    case Special::kFrstor: {
      enter_x87(state);
      alignas(16) std::array<uint8_t, 108> copy{};
      std::memcpy(copy.data(), memory, insn.size);
      state.control_word = static_cast<uint16_t>((read16() & 0x1f3f) | 0x40);
      const auto host_control = static_cast<uint16_t>(state.control_word | kX87Masks);
      std::memcpy(copy.data(), &host_control, 2);
      insn.thunk(state.image.data(), gpr, copy.data(), &no_flags);
      return Outcome::kDone;
    }
    default:
      return Outcome::kDone;
  }
}

void save_image(const FpuState& state, std::array<uint8_t, 512>& image) { image = state.image; }

Result<void> load_image(FpuState& state, const std::array<uint8_t, 512>& image) {
  FpuState loaded;
  loaded.image = image;
  if ((mxcsr(loaded) & ~kMxcsrValid) != 0)
    return fail(ErrorKind::kCorrupt, "FPU state", "reserved bits are set in MXCSR");
  set_field(loaded, FpuState::kMxcsr + 4, kMxcsrValid);
  loaded.control_word = field<uint16_t>(loaded, kFcw);
  state = loaded;
  return {};
}

}  // namespace husk::soft::fpu
