// What follows each opcode: one word of properties an opcode, four maps (Intel SDM vol. 2, appendix
// A). Built at compile time from ranges, so that each rule is one line.
#pragma once

#include <array>
#include <cstdint>

#include "backend/soft/decode/insn.h"

namespace husk::soft::decode {

// Immediates, in the low four bits.
constexpr uint16_t kImmNone = 0, kImm8 = 1, kImm16 = 2, kImmZ = 3 /* 2 or 4 */,
                   kImmV = 4 /* 2, 4 or 8 */, kImmGroup3 = 5 /* F6, F7: TEST only */,
                   kImmOffset = 6 /* moffs */, kImmFar = 7, kImmEnter = 8, kImmMask = 15;
constexpr uint16_t kModrm = 1u << 4, kInvalid = 1u << 5, kInvalid64 = 1u << 6;
constexpr uint16_t kDefault64 = 1u << 7;  // in 64-bit mode the operand has 8 bytes, or 2 with 66
constexpr uint16_t kForce64 =
    1u << 8;  // in 64-bit mode the operand has 8 bytes whatever the prefixes say
constexpr uint16_t kRegisterOnly = 1u << 9;  // mod is ignored: the operand is a register

constexpr uint16_t kGroup5 = 1u << 10;  // FF: the operand size depends on the extension
constexpr uint16_t kMax32 = 1u << 11;   // ports: REX.W does nothing

using OpcodeTable = std::array<uint16_t, 256>;

constexpr void set(OpcodeTable& table, int first, int last, uint16_t form) {
  for (int op = first; op <= last; ++op) table[static_cast<size_t>(op)] = form;
}

constexpr OpcodeTable primary_table() {
  OpcodeTable t{};
  for (int row = 0; row < 0x40; row += 8) {  // ADD OR ADC SBB AND SUB XOR CMP
    set(t, row, row + 3, kModrm);
    t[static_cast<size_t>(row + 4)] = kImm8;
    t[static_cast<size_t>(row + 5)] = kImmZ;
  }
  for (const int op : {0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f})
    t[static_cast<size_t>(op)] = kInvalid64;
  set(t, 0x40, 0x4f, kInvalid64);  // INC, DEC; in 64-bit mode these are REX
  set(t, 0x50, 0x5f, kDefault64);  // PUSH, POP
  set(t, 0x60, 0x61, kInvalid64);
  t[0x62] = kModrm;
  t[0x63] = kModrm;
  t[0x68] = kImmZ | kDefault64;
  t[0x69] = kModrm | kImmZ;
  t[0x6a] = kImm8 | kDefault64;
  t[0x6b] = kModrm | kImm8;
  set(t, 0x6c, 0x6f, kMax32);
  set(t, 0x70, 0x7f, kImm8 | kForce64);
  t[0x80] = kModrm | kImm8;
  t[0x81] = kModrm | kImmZ;
  t[0x82] = kModrm | kImm8 | kInvalid64;
  t[0x83] = kModrm | kImm8;
  set(t, 0x84, 0x8e, kModrm);
  t[0x8f] = kModrm | kDefault64;
  t[0x9a] = kImmFar | kInvalid64;
  set(t, 0x9c, 0x9d, kDefault64);
  set(t, 0xa0, 0xa3, kImmOffset);
  t[0xa8] = kImm8;
  t[0xa9] = kImmZ;
  set(t, 0xb0, 0xb7, kImm8);
  set(t, 0xb8, 0xbf, kImmV);
  set(t, 0xc0, 0xc1, kModrm | kImm8);
  t[0xc2] = kImm16 | kForce64;
  t[0xc3] = kForce64;
  set(t, 0xc4, 0xc5, kModrm);
  t[0xc6] = kModrm | kImm8;
  t[0xc7] = kModrm | kImmZ;
  t[0xc8] = kImmEnter | kDefault64;
  t[0xc9] = kDefault64;
  t[0xca] = kImm16;
  t[0xcd] = kImm8;
  t[0xce] = kInvalid64;
  set(t, 0xd0, 0xd3, kModrm);
  set(t, 0xd4, 0xd5, kImm8 | kInvalid64);
  t[0xd6] = kInvalid64;
  set(t, 0xd8, 0xdf, kModrm);
  set(t, 0xe0, 0xe3, kImm8 | kForce64);
  set(t, 0xe4, 0xe7, kImm8 | kMax32);
  set(t, 0xe8, 0xe9, kImmZ | kForce64);
  t[0xea] = kImmFar | kInvalid64;
  t[0xeb] = kImm8 | kForce64;
  set(t, 0xec, 0xef, kMax32);
  set(t, 0xf6, 0xf7, kModrm | kImmGroup3);
  t[0xfe] = kModrm;
  t[0xff] = kModrm | kGroup5;
  return t;
}

constexpr OpcodeTable table_0f() {
  OpcodeTable t{};
  set(t, 0x00, 0x03, kModrm);
  t[0x04] = kInvalid;
  t[0x0a] = kInvalid;
  t[0x0c] = kInvalid;
  t[0x0d] = kModrm;
  set(t, 0x0e, 0x0f, kInvalid);
  set(t, 0x10, 0x1f, kModrm);
  set(t, 0x20, 0x23, kModrm | kRegisterOnly | kForce64);  // MOV CR, DR
  set(t, 0x24, 0x27, kInvalid);
  set(t, 0x28, 0x2f, kModrm);
  set(t, 0x36, 0x3f, kInvalid);  // 37 is GETSEC, of a feature not offered
  set(t, 0x40, 0x6f, kModrm);
  set(t, 0x70, 0x73, kModrm | kImm8);
  set(t, 0x74, 0x76, kModrm);
  set(t, 0x78, 0x7b, kInvalid);  // VMREAD, VMWRITE and SSE4a
  set(t, 0x7c, 0x7f, kModrm);
  set(t, 0x80, 0x8f, kImmZ | kForce64);
  set(t, 0x90, 0x9f, kModrm);
  for (const int op : {0xa0, 0xa1, 0xa8, 0xa9}) t[static_cast<size_t>(op)] = kDefault64;
  t[0xa3] = kModrm;
  t[0xa4] = kModrm | kImm8;
  t[0xa5] = kModrm;
  set(t, 0xa6, 0xa7, kModrm | kInvalid);  // PadLock
  t[0xab] = kModrm;
  t[0xac] = kModrm | kImm8;
  set(t, 0xad, 0xb9, kModrm);
  t[0xba] = kModrm | kImm8;
  set(t, 0xbb, 0xc1, kModrm);
  t[0xc2] = kModrm | kImm8;
  t[0xc3] = kModrm;
  set(t, 0xc4, 0xc6, kModrm | kImm8);
  t[0xc7] = kModrm;
  set(t, 0xd0, 0xff, kModrm);
  return t;
}

constexpr OpcodeTable table_0f38() {
  OpcodeTable t{};
  t.fill(kModrm | kInvalid);
  set(t, 0x00, 0x0b, kModrm);
  for (const int op : {0x10, 0x14, 0x15, 0x17}) t[static_cast<size_t>(op)] = kModrm;
  set(t, 0x1c, 0x1e, kModrm);
  set(t, 0x20, 0x25, kModrm);
  set(t, 0x28, 0x2b, kModrm);
  set(t, 0x30, 0x35, kModrm);
  set(t, 0x37, 0x41, kModrm);
  set(t, 0x80, 0x82, kModrm);  // INVEPT, INVVPID, INVPCID
  set(t, 0xc8, 0xcd, kModrm);  // SHA
  t[0xcf] = kModrm;
  set(t, 0xdb, 0xdf, kModrm);  // AES
  set(t, 0xf0, 0xf1, kModrm);
  set(t, 0xf5, 0xf6, kModrm);
  set(t, 0xf8, 0xf9, kModrm);
  return t;
}

constexpr OpcodeTable table_0f3a() {
  OpcodeTable t{};
  t.fill(kModrm | kImm8 | kInvalid);
  set(t, 0x08, 0x0f, kModrm | kImm8);
  set(t, 0x14, 0x17, kModrm | kImm8);
  set(t, 0x20, 0x22, kModrm | kImm8);
  set(t, 0x40, 0x42, kModrm | kImm8);
  t[0x44] = kModrm | kImm8;
  set(t, 0x60, 0x63, kModrm | kImm8);
  t[0xcc] = kModrm | kImm8;
  set(t, 0xce, 0xcf, kModrm | kImm8);
  t[0xdf] = kModrm | kImm8;
  return t;
}

inline constexpr std::array<OpcodeTable, 4> kOpcodeTables{primary_table(), table_0f(), table_0f38(),
                                                          table_0f3a()};

constexpr uint16_t form_of(OpMap map, uint8_t opcode) {
  return kOpcodeTables[static_cast<size_t>(map)][opcode];
}

// Under VEX (Intel SDM vol. 2, appendix A) nearly everything has a ModRM byte. Which opcodes mean
// something is for who gives them a meaning.
constexpr uint16_t vex_form_of(OpMap map, uint8_t opcode) {
  if (map == OpMap::k0F3A) return kModrm | kImm8;
  if (map == OpMap::k0F38) return kModrm;
  if (opcode == 0x77) return 0;  // VZEROUPPER
  const bool immediate =
      (opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2 || (opcode >= 0xc4 && opcode <= 0xc6);
  return immediate ? kModrm | kImm8 : kModrm;
}
// Whose SIB has a vector register for an index.
constexpr bool is_gather(OpMap map, uint8_t opcode) {
  return map == OpMap::k0F38 && opcode >= 0x90 && opcode <= 0x93;
}

}  // namespace husk::soft::decode
