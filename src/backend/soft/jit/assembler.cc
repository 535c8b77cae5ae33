#include "backend/soft/jit/assembler.h"

namespace husk::soft::jit {

namespace {

bool high(uint8_t reg) { return reg != kNoReg && reg >= 8; }
bool needs_rex_as_byte(uint8_t reg) { return reg >= 4 && reg < 8; }

}  // namespace

void Assembler::vex(const Encoding& e, uint8_t reg, uint8_t index, uint8_t base) {
  const int pp = e.prefix == 0x66 ? 1 : e.prefix == 0xf3 ? 2 : e.prefix == 0xf2 ? 3 : 0;
  const int last = (~e.vvvv & 15) << 3 | (e.vex_256 ? 4 : 0) | pp;
  const int r = high(reg) ? 0 : 0x80, x = high(index) ? 0 : 0x40, b = high(base) ? 0 : 0x20;
  if (e.map == 1 && !e.wide && x != 0 && b != 0) {
    byte(0xc5);
    byte(static_cast<uint8_t>(r | last));
  } else {
    byte(0xc4);
    byte(static_cast<uint8_t>(r | x | b | e.map));
    byte(static_cast<uint8_t>((e.wide ? 0x80 : 0) | last));
  }
  byte(e.opcode);
}

void Assembler::head(const Encoding& e, uint8_t reg, uint8_t index, uint8_t base, bool byte_rm) {
  if (e.vex) return vex(e, reg, index, base);
  if (e.lock) byte(0xf0);
  if (e.prefix != 0) byte(e.prefix);
  uint8_t rex = 0;
  if (e.wide) rex |= 0x48;
  if (high(reg)) rex |= 0x44;
  if (high(index)) rex |= 0x42;
  if (high(base)) rex |= 0x41;
  if (e.bytes && (needs_rex_as_byte(reg) || (byte_rm && needs_rex_as_byte(base)))) rex |= 0x40;
  if (rex != 0) byte(rex);
  if (e.map != 0) byte(0x0f);
  if (e.map == 2) byte(0x38);
  if (e.map == 3) byte(0x3a);
  byte(e.opcode);
}

void Assembler::rr(const Encoding& e, uint8_t reg, uint8_t rm) {
  head(e, reg, kNoReg, rm, true);
  byte(static_cast<uint8_t>(0xc0 | (reg & 7) << 3 | (rm & 7)));
}

void Assembler::rm(const Encoding& e, uint8_t reg, const Mem& m) {
  head(e, reg, m.index, m.base, false);
  const auto reg_field = static_cast<uint8_t>((reg & 7) << 3);
  const auto sib = [&](uint8_t base) {
    const uint8_t index = m.index == kNoReg ? uint8_t{4} : static_cast<uint8_t>(m.index & 7);
    return static_cast<uint8_t>(m.scale_log2 << 6 | index << 3 | base);
  };
  if (m.base == kNoReg) {  // [disp32] or [index * scale + disp32]
    byte(reg_field | 4);
    byte(sib(5));
    dword(static_cast<uint32_t>(m.disp));
    return;
  }
  const bool with_sib = m.index != kNoReg || (m.base & 7) == 4;
  const bool none = m.disp == 0 && (m.base & 7) != 5;
  const bool narrow = m.disp == static_cast<int8_t>(m.disp);
  const uint8_t mod = none ? 0 : narrow ? 0x40 : 0x80;
  byte(static_cast<uint8_t>(mod | reg_field | (with_sib ? 4 : m.base & 7)));
  if (with_sib) byte(sib(m.base & 7));
  if (none) return;
  if (narrow) {
    byte(static_cast<uint8_t>(m.disp));
  } else {
    dword(static_cast<uint32_t>(m.disp));
  }
}

void Assembler::mov_imm(uint8_t to, uint64_t value) {
  if (value == static_cast<uint32_t>(value)) {
    if (to >= 8) byte(0x41);
    byte(static_cast<uint8_t>(0xb8 | (to & 7)));
    dword(static_cast<uint32_t>(value));
  } else if (static_cast<int64_t>(value) == static_cast<int32_t>(value)) {
    rr(op(0xc7), 0, to);
    dword(static_cast<uint32_t>(value));
  } else {
    byte(to >= 8 ? 0x49 : 0x48);
    byte(static_cast<uint8_t>(0xb8 | (to & 7)));
    qword(value);
  }
}

void Assembler::alu_imm(uint8_t kind, uint8_t reg, int32_t value, bool wide) {
  if (value == static_cast<int8_t>(value)) {
    rr(op(0x83, wide), kind, reg);
    byte(static_cast<uint8_t>(value));
  } else {
    rr(op(0x81, wide), kind, reg);
    dword(static_cast<uint32_t>(value));
  }
}

void Assembler::shift_imm(uint8_t kind, uint8_t reg, uint8_t count, bool wide) {
  rr(op(0xc1, wide), kind, reg);
  byte(count);
}

JumpSite Assembler::jcc(uint8_t cc) {
  byte(0x0f);
  byte(static_cast<uint8_t>(0x80 | cc));
  dword(0);
  return {at_ - 4};
}

JumpSite Assembler::jmp() {
  byte(0xe9);
  dword(0);
  return {at_ - 4};
}

void Assembler::call_to(const uint8_t* target) {
  byte(0xe8);
  dword(0);
  JumpSite{at_ - 4}.to(target);
}

}  // namespace husk::soft::jit
