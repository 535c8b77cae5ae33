// What becomes of an instruction: a thunk, or one of the specials.
#include "backend/soft/fpu/fpu.h"

#include <cpuid.h>

#include "backend/soft/fpu/simd_table.h"
#include "backend/soft/fpu/thunk_writer.h"
#include "backend/soft/fpu/vex_table.h"
#include "backend/soft/fpu/x87_table.h"

namespace husk::soft::fpu {

using decode::Insn;
using decode::OpMap;

namespace {

// Everything that identifies a thunk: two instructions with the same key are the same host code.
uint64_t key_of(const Insn& insn) {
  return uint64_t{insn.opcode} | static_cast<uint64_t>(insn.map) << 8 |
         static_cast<uint64_t>(insn.rep) << 10 | uint64_t{insn.operand_prefix} << 12 |
         uint64_t{insn.rex_w} << 13 | uint64_t{insn.memory} << 14 | uint64_t{insn.reg} << 16 |
         uint64_t{insn.memory ? uint8_t{0} : insn.rm} << 20 |
         static_cast<uint64_t>(static_cast<uint8_t>(insn.imm)) << 24 |
         uint64_t{insn.operand_size} << 32 | uint64_t{insn.vex} << 40 |
         uint64_t{insn.vex_256} << 41 | uint64_t{insn.vvvv} << 42 |
         uint64_t{insn.vector_index} << 46 | uint64_t{insn.vex ? insn.mem.scale_log2 : 0u} << 54;
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

// The rest is in CPUID together or not at all.
bool host_has_vex(const Insn& insn) {
  if (insn.map == OpMap::k0F38 && insn.opcode >= 0xdb && insn.opcode <= 0xdf) return host().aes;
  if (insn.map == OpMap::k0F3A && insn.opcode == 0x44) return host().pclmul;
  if (insn.map == OpMap::k0F3A && insn.opcode == 0xdf) return host().aes;
  return true;
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

bool vex_instruction(const Insn& insn, CompiledInsn& out, ThunkWriter& writer) {
  using enum VexOperands;
  const auto form = vex_form(insn);
  if (!form || !host_has_vex(insn)) return false;
  const VexOperands kind = form->operands;
  out.unit = is_general(kind) ? UnitKind::kGeneral : UnitKind::kAvx;
  out.arithmetic = form->arithmetic;
  out.writes_flags = form->flags;
  out.masked_store = kind == kMaskMove;
  if (insn.memory || out.masked_store) {
    const bool writes = kind == kStore || kind == kExtract || kind == kMaskedStore ||
                        kind == kMaskMove || kind == kStoreControl;
    out.memory = writes ? MemAccess::kWrite : MemAccess::kRead;
    out.size = form->size;
    out.alignment = form->alignment;
  }
  if (kind == kLoadControl || kind == kStoreControl) {
    out.special = kind == kLoadControl ? Special::kLdmxcsr : Special::kStmxcsr;
    return true;
  }
  out.reg = insn.reg;
  out.mask = insn.vvvv;
  if (kind == kMaskedLoad || kind == kMaskedStore || kind == kGather) {
    out.lane = form->size;
    out.size = insn.vex_256 ? 32 : 16;
  }
  if (kind == kGather) {
    out.gathers = true;
    out.index = insn.vector_index;
    out.index_size = (insn.opcode & 1) != 0 ? 8 : 4;
    out.scale_log2 = insn.mem.scale_log2;
    return true;
  }
  writer.vex(insn, *form);
  return true;
}

}  // namespace

const CompiledInsn* Unit::compile(const Insn& insn) {
  const uint64_t key = key_of(insn);
  if (const auto found = compiled_.find(key); found != compiled_.end()) return found->second.get();
  auto out = std::make_unique<CompiledInsn>();
  ThunkWriter writer;
  const bool x87 = insn.map == OpMap::kPrimary;
  if (insn.vex) {
    if (!vex_instruction(insn, *out, writer)) return nullptr;
  } else if (x87) {
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
    // CVTPI2PS and CVTPI2PD of memory have nothing to do with the MMX registers (AMD APM vol. 5).
    const bool no_mmx = form->operands == Operands::kXmmMmx && insn.memory;
    out->unit = no_mmx ? UnitKind::kSse : unit_of(*form);
    out->waiting = out->unit == UnitKind::kMmx;
    const bool masked = form->operands == Operands::kMasked;
    if (insn.memory || masked) {
      out->memory = masked ? MemAccess::kWrite : access_of(*form);
      out->size = form->size;
      out->alignment = form->aligned ? 16 : 1;
    }
    out->masked_store = masked;
    out->arithmetic = form->arithmetic;
    out->writes_flags = form->operands == Operands::kFlags ||
                        form->operands == Operands::kStringIndex ||
                        form->operands == Operands::kStringMask;
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

}  // namespace husk::soft::fpu
