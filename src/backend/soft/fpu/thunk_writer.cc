#include "backend/soft/fpu/thunk_writer.h"

#include "backend/soft/fpu/fpu.h"

namespace husk::soft::fpu {

using decode::Insn;
using decode::OpMap;
using enum Operands;

namespace {

constexpr uint8_t kRax = 0, kRdxRm = 2;  // ModRM.rm of [rdx]
constexpr uint8_t kDestination = 1,
                  kSource = 2;  // XMM1 and XMM2; XMM0 stays free for implicit operands
constexpr uint8_t kRet = 0xc3;

}  // namespace

void ThunkWriter::dword(uint32_t value) {
  for (int i = 0; i < 4; ++i) code_.push_back(static_cast<uint8_t>(value >> 8 * i));
}

// movups xmm, [rdi + disp32]
void ThunkWriter::load_xmm(uint8_t host, uint8_t guest) {
  bytes({0x0f, 0x10, static_cast<uint8_t>(0x87 | host << 3)});
  dword(static_cast<uint32_t>(FpuState::kXmm + guest * 16u));
}
void ThunkWriter::store_xmm(uint8_t guest, uint8_t host) {
  bytes({0x0f, 0x11, static_cast<uint8_t>(0x87 | host << 3)});
  dword(static_cast<uint32_t>(FpuState::kXmm + guest * 16u));
}

// mov rax, [rsi + disp8]
void ThunkWriter::load_gpr(uint8_t guest, uint8_t) {
  bytes({0x48, 0x8b, 0x46, static_cast<uint8_t>(guest * 8)});
}
// The instruction wrote EAX or RAX; a 32-bit write has cleared the upper half.
void ThunkWriter::store_gpr(uint8_t guest, uint8_t) {
  bytes({0x48, 0x89, 0x46, static_cast<uint8_t>(guest * 8)});
}

// pushfq; pop rax; mov [rcx], rax
void ThunkWriter::capture_flags() { bytes({0x9c, 0x58, 0x48, 0x89, 0x01}); }

void ThunkWriter::instruction(const Insn& insn, uint8_t reg, uint8_t rm, bool rm_memory) {
  switch (simd_prefix(insn)) {
    case k66:
      bytes({0x66});
      break;
    case kF3:
      bytes({0xf3});
      break;
    case kF2:
      bytes({0xf2});
      break;
    case kNp:
      break;
  }
  if (insn.rex_w) bytes({0x48});
  bytes({0x0f});
  if (insn.map == OpMap::k0F38) bytes({0x38});
  if (insn.map == OpMap::k0F3A) bytes({0x3a});
  bytes({insn.opcode, static_cast<uint8_t>((rm_memory ? kRdxRm : 0xc0 | rm) | reg << 3)});
  if (insn.imm_size == 1) bytes({static_cast<uint8_t>(insn.imm)});
}

// PCMPxSTRx: the explicit lengths are in EAX and EDX, so the memory operand moves to XMM2 first.
void ThunkWriter::string_compare(const Insn& insn, bool index) {
  load_xmm(kDestination, insn.reg);
  if (insn.memory) {
    bytes({0x0f, 0x10, static_cast<uint8_t>(kRdxRm | kSource << 3)});
  } else {
    load_xmm(kSource, insn.rm);
  }
  bytes({0x49, 0x89, 0xc9});        // mov r9, rcx: RCX is an output
  bytes({0x49, 0x89, 0xd2});        // mov r10, rdx
  bytes({0x48, 0x8b, 0x46, 0x00});  // mov rax, [rsi]
  bytes({0x48, 0x8b, 0x56, 0x10});  // mov rdx, [rsi + 16]
  instruction(insn, kDestination, kSource, false);
  if (index) {
    bytes({0x48, 0x89, 0x4e, 0x08});  // mov [rsi + 8], rcx
  }
  bytes({0x9c, 0x58, 0x49, 0x89, 0x01});  // pushfq; pop rax; mov [r9], rax
  if (!index) store_xmm(0, 0);
}

void ThunkWriter::simd(const Insn& insn, const SimdForm& form) {
  const bool memory = insn.memory;
  const auto mmx = [](uint8_t reg) { return static_cast<uint8_t>(reg & 7); };
  const auto source_xmm = [&] {
    if (!memory) load_xmm(kSource, insn.rm);
  };
  switch (form.operands) {
    case kXmmXmm:
      if (form.implicit_xmm0) load_xmm(0, 0);
      load_xmm(kDestination, insn.reg);
      source_xmm();
      instruction(insn, kDestination, kSource, memory);
      store_xmm(insn.reg, kDestination);
      break;
    case kXmmStore:
      load_xmm(kDestination, insn.reg);
      source_xmm();
      instruction(insn, kDestination, kSource, memory);
      if (!memory) store_xmm(insn.rm, kSource);
      break;
    case kXmmGpr:
      load_xmm(kDestination, insn.reg);
      if (!memory) load_gpr(insn.rm, form.size);
      instruction(insn, kDestination, kRax, memory);
      store_xmm(insn.reg, kDestination);
      break;
    case kGprXmm:
      source_xmm();
      instruction(insn, kRax, kSource, memory);
      store_gpr(insn.reg, 8);
      break;
    case kGprStore:
      load_xmm(kDestination, insn.reg);
      instruction(insn, kDestination, kRax, memory);
      if (!memory) store_gpr(insn.rm, 8);
      break;
    case kMmxMmx:
    case kMmxStore:
      instruction(insn, mmx(insn.reg), mmx(insn.rm), memory);
      break;
    case kMmxGpr:
      if (!memory) load_gpr(insn.rm, form.size);
      instruction(insn, mmx(insn.reg), kRax, memory);
      break;
    case kGprMmx:
      instruction(insn, kRax, mmx(insn.rm), false);
      store_gpr(insn.reg, 8);
      break;
    case kGprStoreM:
      instruction(insn, mmx(insn.reg), kRax, memory);
      if (!memory) store_gpr(insn.rm, 8);
      break;
    case kXmmMmx:
      load_xmm(kDestination, insn.reg);
      instruction(insn, kDestination, mmx(insn.rm), memory);
      store_xmm(insn.reg, kDestination);
      break;
    case kMmxXmm:
      source_xmm();
      instruction(insn, mmx(insn.reg), kSource, memory);
      break;
    case kXmmShift:
      load_xmm(kSource, insn.rm);
      instruction(insn, insn.group(), kSource, false);
      store_xmm(insn.rm, kSource);
      break;
    case kMmxShift:
      instruction(insn, insn.group(), mmx(insn.rm), false);
      break;
    case kFlags:
      load_xmm(kDestination, insn.reg);
      source_xmm();
      instruction(insn, kDestination, kSource, memory);
      capture_flags();
      break;
    case kStringIndex:
      string_compare(insn, true);
      break;
    case kStringMask:
      string_compare(insn, false);
      break;
    case kEmpty:
      bytes({0x0f, 0x77});
      break;
    case kMasked:  // memory is at RDX; the instruction wants it at RDI
      if (form.size == 16) {
        load_xmm(kDestination, insn.reg);
        load_xmm(kSource, insn.rm);
        bytes({0x57, 0x48, 0x89, 0xd7});  // push rdi; mov rdi, rdx
        instruction(insn, kDestination, kSource, false);
      } else {
        bytes({0x57, 0x48, 0x89, 0xd7});
        instruction(insn, mmx(insn.reg), mmx(insn.rm), false);
      }
      bytes({0x5f});  // pop rdi
      break;
  }
  bytes({kRet});
}

void ThunkWriter::x87(const Insn& insn, bool reads_flags, bool writes_flags, bool writes_ax) {
  if (reads_flags) bytes({0xff, 0x31, 0x9d});  // push qword [rcx]; popfq
  if (insn.operand_prefix) bytes({0x66});
  const uint8_t reg = static_cast<uint8_t>(insn.group() << 3);
  bytes(
      {insn.opcode, static_cast<uint8_t>(insn.memory ? kRdxRm | reg : 0xc0 | reg | (insn.rm & 7))});
  if (writes_ax) bytes({0x66, 0x89, 0x06});  // mov [rsi], ax
  if (writes_flags) capture_flags();
  bytes({kRet});
}

}  // namespace husk::soft::fpu
