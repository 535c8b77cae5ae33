// Thunks of VEX-encoded instructions: the register operand in XMM1 or RAX, VEX's in XMM2 or R8, the
// one that may be memory in XMM3 or R9, an immediate's in XMM4.
#include "backend/soft/fpu/fpu.h"
#include "backend/soft/fpu/thunk_writer.h"

namespace husk::soft::fpu {

using decode::Insn;
using decode::OpMap;
using enum VexOperands;

namespace {

constexpr uint8_t kRax = 0, kRdx = 2, kR8 = 8, kR9 = 9;
constexpr uint8_t kReg = 1, kVvvv = 2, kRm = 3, kFourth = 4;
constexpr uint8_t kRet = 0xc3;

constexpr uint8_t to_image(uint8_t host) { return static_cast<uint8_t>(0x87 | host << 3); }
constexpr uint32_t low_half(uint8_t guest) {
  return static_cast<uint32_t>(FpuState::kXmm + guest * 16u);
}
constexpr uint32_t high_half(uint8_t guest) {
  return static_cast<uint32_t>(FpuState::kUpper + guest * 16u);
}

bool general_rm(VexOperands kind) {
  return kind == kInsert || kind == kFromGeneral || kind == kExtract;
}

}  // namespace

// vmovups xmm, [rdi + low]; vinsertf128 ymm, ymm, [rdi + high], 1
void ThunkWriter::load_vector(uint8_t host, uint8_t guest, bool whole) {
  bytes({0xc5, 0xf8, 0x10, to_image(host)});
  dword(low_half(guest));
  if (!whole) return;
  bytes({0xc4, 0xe3, static_cast<uint8_t>(0x05 | (~host & 15) << 3), 0x18, to_image(host)});
  dword(high_half(guest));
  bytes({1});
}

// vmovups [rdi + low], xmm; vextractf128 [rdi + high], ymm, 1: what has written XMM alone has left
// zeros above it.
void ThunkWriter::store_vector(uint8_t guest, uint8_t host) {
  bytes({0xc5, 0xf8, 0x11, to_image(host)});
  dword(low_half(guest));
  bytes({0xc4, 0xe3, 0x7d, 0x19, to_image(host)});
  dword(high_half(guest));
  bytes({1});
}

void ThunkWriter::vex_bytes(const Insn& insn, bool wide, uint8_t reg, uint8_t vvvv, uint8_t rm,
                            bool rm_memory) {
  const uint8_t inverted =
      static_cast<uint8_t>(0x40 | (reg < 8 ? 0x80 : 0) | (rm_memory || rm < 8 ? 0x20 : 0));
  bytes({0xc4, static_cast<uint8_t>(inverted | static_cast<uint8_t>(insn.map)),
         static_cast<uint8_t>((wide ? 0x80 : 0) | (~vvvv & 15) << 3 | (insn.vex_256 ? 4 : 0) |
                              simd_prefix(insn)),
         insn.opcode, static_cast<uint8_t>((rm_memory ? kRdx : 0xc0 | (rm & 7)) | (reg & 7) << 3)});
}

// VZEROUPPER, VZEROALL: a zero in YMM1, and stores.
void ThunkWriter::zero(bool all) {
  bytes({0xc5, 0xf0, 0x57, 0xc9});  // vxorps xmm1, xmm1, xmm1
  for (uint8_t pair = 0; pair < 16; pair += 2) {
    for (const uint32_t at : {high_half(pair), low_half(pair)}) {
      if (at == low_half(pair) && !all) continue;
      bytes({0xc5, 0xfc, 0x11, to_image(1)});  // vmovups [rdi + at], ymm1
      dword(at);
    }
  }
}

// The SSE instruction says the same, but that the register for the mask keeps its upper half.
void ThunkWriter::vex_string(const Insn& insn, const VexForm& form) {
  string_compare(insn, form.operands == kStringIndex);
  if (form.operands == kStringIndex) return;
  bytes({0x0f, 0x57, 0xc0, 0x0f, 0x11, to_image(0)});  // xorps xmm0, xmm0; movups [upper], xmm0
  dword(high_half(0));
}

void ThunkWriter::vex_vector(const Insn& insn, const VexForm& form) {
  const VexOperands kind = form.operands;
  const bool whole = insn.vex_256;
  const bool general = general_rm(kind) || kind == kToGeneral;
  const bool reads_reg = kind == kAccumulate || kind == kStore || kind == kMerge ||
                         kind == kFlags || kind == kExtract || kind == kMaskedStore ||
                         kind == kMaskMove;
  const bool has_vvvv = kind == kThree || kind == kAccumulate || kind == kBlend || kind == kMerge ||
                        kind == kInsert || kind == kMaskedLoad || kind == kMaskedStore;
  const bool reads_rm = !insn.memory && kind != kStore && kind != kMerge && kind != kExtract;
  if (reads_reg) load_vector(kReg, insn.reg, whole);
  if (has_vvvv) load_vector(kVvvv, insn.vvvv, whole);
  if (kind == kBlend) load_vector(kFourth, static_cast<uint8_t>(insn.imm >> 4 & 15), whole);
  if (reads_rm && general_rm(kind)) {
    bytes({0x48, 0x8b, 0x46, static_cast<uint8_t>(insn.rm * 8)});  // mov rax, [rsi + rm]
  } else if (reads_rm) {
    load_vector(kRm, insn.rm, whole);
  }
  uint8_t reg = kReg, vvvv = has_vvvv ? kVvvv : uint8_t{0};
  if (kind == kToGeneral) reg = kRax;
  if (kind == kShift) reg = insn.group(), vvvv = kReg;
  if (kind == kMaskMove) bytes({0x57, 0x48, 0x89, 0xd7});  // push rdi; mov rdi, rdx
  const bool wide = general ? insn.operand_size == 8 : insn.rex_w;
  vex_bytes(insn, wide, reg, vvvv, general_rm(kind) ? kRax : kRm, insn.memory);
  if (insn.imm_size != 0)
    bytes({static_cast<uint8_t>(kind == kBlend ? kFourth << 4 | (insn.imm & 15) : insn.imm)});
  if (kind == kMaskMove) bytes({0x5f});
  if (kind == kFlags) {
    capture_flags();
  } else if (kind == kToGeneral) {
    store_gpr(insn.reg, 8);
  } else if (kind == kExtract) {
    if (!insn.memory) store_gpr(insn.rm, 8);
  } else if (kind == kStore || kind == kMerge) {
    if (!insn.memory) store_vector(insn.rm, kRm);
  } else if (kind == kShift) {
    store_vector(insn.vvvv, kReg);
  } else if (kind != kMaskedStore && kind != kMaskMove) {
    store_vector(insn.reg, kReg);
  }
}

void ThunkWriter::vex_general(const Insn& insn, const VexForm& form) {
  const VexOperands kind = form.operands;
  const bool wide = insn.operand_size == 8;
  const bool multiplies = kind == kMultiply;
  const auto load = [&](uint8_t guest, uint8_t modrm) {  // mov r, [rsi + guest]
    bytes({0x4c, 0x8b, modrm, static_cast<uint8_t>(guest * 8)});
  };
  constexpr uint8_t kToR8 = 0x46, kToR9 = 0x4e;
  if (kind == kGeneral || kind == kGeneralSwapped) load(insn.vvvv, kToR8);
  if (!insn.memory) load(insn.rm, kToR9);
  if (multiplies) {  // RDX is an operand, and cannot be where memory is
    if (insn.memory)
      bytes({static_cast<uint8_t>(wide ? 0x4c : 0x44), 0x8b, 0x0a});  // mov r9, [rdx]
    bytes({0x48, 0x8b, 0x56, 0x10});                                  // mov rdx, [rsi + 16]
  }
  const uint8_t reg = kind == kGeneralGroup ? insn.group() : kRax;
  const bool memory = insn.memory && !multiplies;
  vex_bytes(insn, wide, reg, kind == kGeneralTwo ? uint8_t{0} : kR8, kR9, memory);
  if (insn.imm_size != 0) bytes({static_cast<uint8_t>(insn.imm)});
  if (kind == kGeneralGroup || multiplies)  // mov [rsi + vvvv], r8
    bytes({0x4c, 0x89, 0x46, static_cast<uint8_t>(insn.vvvv * 8)});
  if (kind != kGeneralGroup) store_gpr(insn.reg, 8);
  if (form.flags) capture_flags();
}

void ThunkWriter::vex(const Insn& insn, const VexForm& form) {
  if (is_general(form.operands)) {
    vex_general(insn, form);
  } else if (form.operands == kZero) {
    zero(insn.vex_256);
    bytes({0xc5, 0xf8, 0x77});
  } else if (form.operands == kStringIndex || form.operands == kStringMask) {
    vex_string(insn, form);
  } else {
    vex_vector(insn, form);
    bytes({0xc5, 0xf8, 0x77});  // vzeroupper: what comes next on this thread is SSE
  }
  bytes({kRet});
}

}  // namespace husk::soft::fpu
