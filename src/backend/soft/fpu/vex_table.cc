#include "backend/soft/fpu/vex_table.h"

#include "backend/soft/fpu/simd_table.h"

namespace husk::soft::fpu {

using decode::Insn;

namespace {

// Mandatory prefixes, as a set.
constexpr uint8_t kPlain = 1, kPrefix66 = 2, kPrefixF3 = 4, kPrefixF2 = 8, kPacked = 3, kBoth = 12;

// One line for each instruction, or run of them. What a line does not match may match a later one.
struct Row {
  uint8_t map, prefixes;
  uint8_t first, last;  // opcodes
  char operands;        // VexOperands
  // Of memory: bytes, or f: a whole register, h q e: a half, a quarter, an eighth of it, o: 16,
  // d: MOVDDUP's, w: a general operand's, W: 8 or 4 by W
  char size;
  char l, w;  // VEX.L and VEX.W: 0, 1, or * both
  // a: MXCSR counts, A: memory is aligned, m r: memory or register only, c: changes flags, 0 to 7:
  // extension in ModRM.reg
  const char* more = "";
};

constexpr Row kRows[] = {
    // Moves.
    {1, kPacked, 0x10, 0x10, 'U', 'f', '*', '*'},
    {1, kPrefixF3, 0x10, 0x10, 'U', '4', '*', '*', "m"},
    {1, kPrefixF2, 0x10, 0x10, 'U', '8', '*', '*', "m"},
    {1, kBoth, 0x10, 0x10, 'N', '4', '*', '*', "r"},
    {1, kPacked, 0x11, 0x11, 'S', 'f', '*', '*'},
    {1, kPrefixF3, 0x11, 0x11, 'S', '4', '*', '*', "m"},
    {1, kPrefixF2, 0x11, 0x11, 'S', '8', '*', '*', "m"},
    {1, kBoth, 0x11, 0x11, 'M', '4', '*', '*', "r"},
    {1, kPlain, 0x12, 0x12, 'N', '8', '0', '*'},
    {1, kPrefix66, 0x12, 0x12, 'N', '8', '0', '*', "m"},
    {1, kPrefixF3, 0x12, 0x12, 'U', 'f', '*', '*'},
    {1, kPrefixF2, 0x12, 0x12, 'U', 'd', '*', '*'},
    {1, kPacked, 0x13, 0x13, 'S', '8', '0', '*', "m"},
    {1, kPacked, 0x14, 0x15, 'N', 'f', '*', '*'},
    {1, kPlain, 0x16, 0x16, 'N', '8', '0', '*'},
    {1, kPrefix66, 0x16, 0x16, 'N', '8', '0', '*', "m"},
    {1, kPrefixF3, 0x16, 0x16, 'U', 'f', '*', '*'},
    {1, kPacked, 0x17, 0x17, 'S', '8', '0', '*', "m"},
    {1, kPacked, 0x28, 0x28, 'U', 'f', '*', '*', "A"},
    {1, kPacked, 0x29, 0x29, 'S', 'f', '*', '*', "A"},
    {1, kPacked, 0x2b, 0x2b, 'S', 'f', '*', '*', "Am"},
    {1, kPrefix66, 0x6e, 0x6e, 'm', 'w', '0', '*'},
    {1, kPrefix66, 0x6f, 0x6f, 'U', 'f', '*', '*', "A"},
    {1, kPrefixF3, 0x6f, 0x6f, 'U', 'f', '*', '*'},
    {1, kPrefix66, 0x7e, 0x7e, 's', 'w', '0', '*'},
    {1, kPrefixF3, 0x7e, 0x7e, 'U', '8', '0', '*'},
    {1, kPrefix66, 0x7f, 0x7f, 'S', 'f', '*', '*', "A"},
    {1, kPrefixF3, 0x7f, 0x7f, 'S', 'f', '*', '*'},
    {1, kPrefix66, 0xd6, 0xd6, 'S', '8', '0', '*'},
    {1, kPrefix66, 0xe7, 0xe7, 'S', 'f', '*', '*', "Am"},
    {1, kPrefixF2, 0xf0, 0xf0, 'U', 'f', '*', '*', "m"},
    {2, kPrefix66, 0x2a, 0x2a, 'U', 'f', '*', '*', "Am"},
    // Floating point.
    {1, kBoth, 0x2a, 0x2a, 'g', 'w', '*', '*', "a"},
    {1, kPrefixF3, 0x2c, 0x2d, 'x', '4', '*', '*', "a"},
    {1, kPrefixF2, 0x2c, 0x2d, 'x', '8', '*', '*', "a"},
    {1, kPlain, 0x2e, 0x2f, 'F', '4', '*', '*', "ac"},
    {1, kPrefix66, 0x2e, 0x2f, 'F', '8', '*', '*', "ac"},
    {1, kPacked, 0x50, 0x50, 'x', 'f', '*', '*', "r"},
    {1, kPacked, 0x51, 0x51, 'U', 'f', '*', '*', "a"},
    {1, kPlain, 0x52, 0x53, 'U', 'f', '*', '*'},
    {1, kPrefixF3, 0x52, 0x53, 'N', '4', '*', '*'},
    {1, kPacked, 0x54, 0x57, 'N', 'f', '*', '*'},
    {1, kPlain, 0x5a, 0x5a, 'U', 'h', '*', '*', "a"},
    {1, kPrefix66, 0x5a, 0x5a, 'U', 'f', '*', '*', "a"},
    {1, kPlain | kPrefix66 | kPrefixF3, 0x5b, 0x5b, 'U', 'f', '*', '*', "a"},
    {1, kPacked, 0x58, 0x59, 'N', 'f', '*', '*', "a"},
    {1, kPacked, 0x5c, 0x5f, 'N', 'f', '*', '*', "a"},
    {1, kPrefixF3, 0x51, 0x51, 'N', '4', '*', '*', "a"},
    {1, kPrefixF2, 0x51, 0x51, 'N', '8', '*', '*', "a"},
    {1, kPrefixF3, 0x58, 0x5a, 'N', '4', '*', '*', "a"},
    {1, kPrefixF2, 0x58, 0x5a, 'N', '8', '*', '*', "a"},
    {1, kPrefixF3, 0x5c, 0x5f, 'N', '4', '*', '*', "a"},
    {1, kPrefixF2, 0x5c, 0x5f, 'N', '8', '*', '*', "a"},
    {1, kPrefix66 | kPrefixF2, 0x7c, 0x7d, 'N', 'f', '*', '*', "a"},
    {1, kPacked, 0xc2, 0xc2, 'N', 'f', '*', '*', "a"},
    {1, kPrefixF3, 0xc2, 0xc2, 'N', '4', '*', '*', "a"},
    {1, kPrefixF2, 0xc2, 0xc2, 'N', '8', '*', '*', "a"},
    {1, kPacked, 0xc6, 0xc6, 'N', 'f', '*', '*'},
    {1, kPrefix66 | kPrefixF2, 0xd0, 0xd0, 'N', 'f', '*', '*', "a"},
    {1, kPrefix66 | kPrefixF2, 0xe6, 0xe6, 'U', 'f', '*', '*', "a"},
    {1, kPrefixF3, 0xe6, 0xe6, 'U', 'h', '*', '*', "a"},
    {3, kPrefix66, 0x08, 0x09, 'U', 'f', '*', '*', "a"},
    {3, kPrefix66, 0x0a, 0x0a, 'N', '4', '*', '*', "a"},
    {3, kPrefix66, 0x0b, 0x0b, 'N', '8', '*', '*', "a"},
    {3, kPrefix66, 0x40, 0x40, 'N', 'f', '*', '*', "a"},
    {3, kPrefix66, 0x41, 0x41, 'N', 'f', '0', '*', "a"},
    // FMA: packed, but the odd opcodes from x9 on.
    {2, kPrefix66, 0x96, 0x98, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0xa6, 0xa8, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0xb6, 0xb8, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0x9a, 0x9a, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0x9c, 0x9c, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0x9e, 0x9e, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0xaa, 0xaa, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0xac, 0xac, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0xae, 0xae, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0xba, 0xba, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0xbc, 0xbc, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0xbe, 0xbe, 'A', 'f', '*', '*', "a"},
    {2, kPrefix66, 0x99, 0x9f, 'A', 'W', '*', '*', "a"},
    {2, kPrefix66, 0xa9, 0xaf, 'A', 'W', '*', '*', "a"},
    {2, kPrefix66, 0xb9, 0xbf, 'A', 'W', '*', '*', "a"},
    // F16C.
    {2, kPrefix66, 0x13, 0x13, 'U', 'h', '*', '0', "a"},
    {3, kPrefix66, 0x1d, 0x1d, 'S', 'h', '*', '0', "a"},
    // Integers.
    {1, kPrefix66, 0x60, 0x6d, 'N', 'f', '*', '*'},
    {1, kPrefix66 | kPrefixF3 | kPrefixF2, 0x70, 0x70, 'U', 'f', '*', '*'},
    {1, kPrefix66, 0x71, 0x73, 'i', 'f', '*', '*', "r2"},
    {1, kPrefix66, 0x71, 0x72, 'i', 'f', '*', '*', "r4"},
    {1, kPrefix66, 0x71, 0x73, 'i', 'f', '*', '*', "r6"},
    {1, kPrefix66, 0x73, 0x73, 'i', 'f', '*', '*', "r3"},
    {1, kPrefix66, 0x73, 0x73, 'i', 'f', '*', '*', "r7"},
    {1, kPrefix66, 0x74, 0x76, 'N', 'f', '*', '*'},
    {1, kPrefix66, 0xc4, 0xc4, 'g', '2', '0', '*'},
    {1, kPrefix66, 0xc5, 0xc5, 'x', '2', '0', '*', "r"},
    {1, kPrefix66, 0xd1, 0xd3, 'N', 'o', '*', '*'},
    {1, kPrefix66, 0xd7, 0xd7, 'x', 'f', '*', '*', "r"},
    {1, kPrefix66, 0xe1, 0xe2, 'N', 'o', '*', '*'},
    {1, kPrefix66, 0xf1, 0xf3, 'N', 'o', '*', '*'},
    {1, kPrefix66, 0xf7, 0xf7, 'D', 'o', '0', '*', "r"},
    {1, kPrefix66, 0xd4, 0xd5, 'N', 'f', '*', '*'},
    {1, kPrefix66, 0xd8, 0xe0, 'N', 'f', '*', '*'},
    {1, kPrefix66, 0xe3, 0xe5, 'N', 'f', '*', '*'},
    {1, kPrefix66, 0xe8, 0xef, 'N', 'f', '*', '*'},
    {1, kPrefix66, 0xf4, 0xf6, 'N', 'f', '*', '*'},
    {1, kPrefix66, 0xf8, 0xfe, 'N', 'f', '*', '*'},
    {2, kPrefix66, 0x00, 0x0b, 'N', 'f', '*', '*'},
    {2, kPrefix66, 0x17, 0x17, 'F', 'f', '*', '*', "c"},
    {2, kPrefix66, 0x1c, 0x1e, 'U', 'f', '*', '*'},
    {2, kPrefix66, 0x20, 0x20, 'U', 'h', '*', '*'},
    {2, kPrefix66, 0x21, 0x21, 'U', 'q', '*', '*'},
    {2, kPrefix66, 0x22, 0x22, 'U', 'e', '*', '*'},
    {2, kPrefix66, 0x23, 0x23, 'U', 'h', '*', '*'},
    {2, kPrefix66, 0x24, 0x24, 'U', 'q', '*', '*'},
    {2, kPrefix66, 0x25, 0x25, 'U', 'h', '*', '*'},
    {2, kPrefix66, 0x30, 0x30, 'U', 'h', '*', '*'},
    {2, kPrefix66, 0x31, 0x31, 'U', 'q', '*', '*'},
    {2, kPrefix66, 0x32, 0x32, 'U', 'e', '*', '*'},
    {2, kPrefix66, 0x33, 0x33, 'U', 'h', '*', '*'},
    {2, kPrefix66, 0x34, 0x34, 'U', 'q', '*', '*'},
    {2, kPrefix66, 0x35, 0x35, 'U', 'h', '*', '*'},
    {2, kPrefix66, 0x28, 0x29, 'N', 'f', '*', '*'},
    {2, kPrefix66, 0x2b, 0x2b, 'N', 'f', '*', '*'},
    {2, kPrefix66, 0x37, 0x40, 'N', 'f', '*', '*'},
    {2, kPrefix66, 0x41, 0x41, 'U', 'f', '0', '*'},
    {2, kPrefix66, 0x45, 0x45, 'N', 'f', '*', '*'},
    {2, kPrefix66, 0x46, 0x46, 'N', 'f', '*', '0'},
    {2, kPrefix66, 0x47, 0x47, 'N', 'f', '*', '*'},
    {3, kPrefix66, 0x02, 0x02, 'N', 'f', '*', '0'},
    {3, kPrefix66, 0x0c, 0x0f, 'N', 'f', '*', '*'},
    {3, kPrefix66, 0x14, 0x14, 's', '1', '0', '*'},
    {3, kPrefix66, 0x15, 0x15, 's', '2', '0', '*'},
    {3, kPrefix66, 0x16, 0x16, 's', 'w', '0', '*'},
    {3, kPrefix66, 0x17, 0x17, 's', '4', '0', '*'},
    {3, kPrefix66, 0x20, 0x20, 'g', '1', '0', '*'},
    {3, kPrefix66, 0x21, 0x21, 'N', '4', '0', '*'},
    {3, kPrefix66, 0x22, 0x22, 'g', 'w', '0', '*'},
    {3, kPrefix66, 0x42, 0x42, 'N', 'f', '*', '*'},
    {3, kPrefix66, 0x60, 0x60, 'K', 'f', '0', '*', "c"},
    {3, kPrefix66, 0x61, 0x61, 'I', 'f', '0', '*', "c"},
    {3, kPrefix66, 0x62, 0x62, 'K', 'f', '0', '*', "c"},
    {3, kPrefix66, 0x63, 0x63, 'I', 'f', '0', '*', "c"},
    // Lanes.
    {2, kPrefix66, 0x0c, 0x0d, 'N', 'f', '*', '0'},
    {2, kPrefix66, 0x0e, 0x0f, 'F', 'f', '*', '0', "c"},
    {2, kPrefix66, 0x16, 0x16, 'N', 'f', '1', '0'},
    {2, kPrefix66, 0x18, 0x18, 'U', '4', '*', '0'},
    {2, kPrefix66, 0x19, 0x19, 'U', '8', '1', '0'},
    {2, kPrefix66, 0x1a, 0x1a, 'U', 'o', '1', '0', "m"},
    {2, kPrefix66, 0x36, 0x36, 'N', 'f', '1', '0'},
    {2, kPrefix66, 0x58, 0x58, 'U', '4', '*', '0'},
    {2, kPrefix66, 0x59, 0x59, 'U', '8', '*', '0'},
    {2, kPrefix66, 0x5a, 0x5a, 'U', 'o', '1', '0', "m"},
    {2, kPrefix66, 0x78, 0x78, 'U', '1', '*', '0'},
    {2, kPrefix66, 0x79, 0x79, 'U', '2', '*', '0'},
    {2, kPrefix66, 0x2c, 0x2c, 'L', '4', '*', '0', "m"},
    {2, kPrefix66, 0x2d, 0x2d, 'L', '8', '*', '0', "m"},
    {2, kPrefix66, 0x2e, 0x2e, 'W', '4', '*', '0', "m"},
    {2, kPrefix66, 0x2f, 0x2f, 'W', '8', '*', '0', "m"},
    {2, kPrefix66, 0x8c, 0x8c, 'L', 'W', '*', '*', "m"},
    {2, kPrefix66, 0x8e, 0x8e, 'W', 'W', '*', '*', "m"},
    {2, kPrefix66, 0x90, 0x93, 'V', 'W', '*', '*', "m"},
    {3, kPrefix66, 0x00, 0x01, 'U', 'f', '1', '1'},
    {3, kPrefix66, 0x04, 0x05, 'U', 'f', '*', '0'},
    {3, kPrefix66, 0x06, 0x06, 'N', 'f', '1', '0'},
    {3, kPrefix66, 0x18, 0x18, 'N', 'o', '1', '0'},
    {3, kPrefix66, 0x19, 0x19, 'S', 'o', '1', '0'},
    {3, kPrefix66, 0x38, 0x38, 'N', 'o', '1', '0'},
    {3, kPrefix66, 0x39, 0x39, 'S', 'o', '1', '0'},
    {3, kPrefix66, 0x46, 0x46, 'N', 'f', '1', '0'},
    {3, kPrefix66, 0x4a, 0x4c, '4', 'f', '*', '0'},
    // AES and PCLMULQDQ.
    {2, kPrefix66, 0xdb, 0xdb, 'U', 'f', '0', '*'},
    {2, kPrefix66, 0xdc, 0xdf, 'N', 'f', '0', '*'},
    {3, kPrefix66, 0x44, 0x44, 'N', 'f', '0', '*'},
    {3, kPrefix66, 0xdf, 0xdf, 'U', 'f', '0', '*'},
    // The state.
    {1, kPlain, 0x77, 0x77, 'Z', '0', '*', '*'},
    {1, kPlain, 0xae, 0xae, 'l', '4', '0', '*', "m2"},
    {1, kPlain, 0xae, 0xae, 't', '4', '0', '*', "m3"},
    // BMI1 and BMI2.
    {2, kPlain, 0xf2, 0xf2, 'n', 'w', '0', '*', "c"},
    {2, kPlain, 0xf3, 0xf3, 'b', 'w', '0', '*', "c1"},
    {2, kPlain, 0xf3, 0xf3, 'b', 'w', '0', '*', "c2"},
    {2, kPlain, 0xf3, 0xf3, 'b', 'w', '0', '*', "c3"},
    {2, kPlain, 0xf5, 0xf5, 'e', 'w', '0', '*', "c"},
    {2, kBoth, 0xf5, 0xf5, 'n', 'w', '0', '*'},
    {2, kPrefixF2, 0xf6, 0xf6, 'X', 'w', '0', '*'},
    {2, kPlain, 0xf7, 0xf7, 'e', 'w', '0', '*', "c"},
    {2, kPrefix66 | kBoth, 0xf7, 0xf7, 'e', 'w', '0', '*'},
    {3, kPrefixF2, 0xf0, 0xf0, 'r', 'w', '0', '*'},
};

bool uses_vvvv(VexOperands operands) {
  using enum VexOperands;
  switch (operands) {
    case kTwo:
    case kStore:
    case kFlags:
    case kFromGeneral:
    case kToGeneral:
    case kExtract:
    case kZero:
    case kStringIndex:
    case kStringMask:
    case kMaskMove:
    case kLoadControl:
    case kStoreControl:
    case kGeneralTwo:
      return false;
    default:
      return true;
  }
}

bool matches(const Row& row, const Insn& insn) {
  const bool encoding = row.map == static_cast<uint8_t>(insn.map) &&
                        (row.prefixes >> simd_prefix(insn) & 1) != 0 && row.first <= insn.opcode &&
                        insn.opcode <= row.last;
  if (!encoding || (row.l != '*' && (row.l == '1') != insn.vex_256) ||
      (row.w != '*' && (row.w == '1') != insn.rex_w))
    return false;
  for (const char* what = row.more; *what != 0; ++what) {
    if (*what == 'm' && !insn.memory) return false;
    if (*what == 'r' && insn.memory) return false;
    if (*what <= '7' && insn.group() != *what - '0') return false;
  }
  return true;
}

uint8_t bytes(char size, const Insn& insn) {
  const uint8_t whole = insn.vex_256 ? 32 : 16;
  switch (size) {
    case 'f':
      return whole;
    case 'h':
      return whole / 2;
    case 'q':
      return whole / 4;
    case 'e':
      return whole / 8;
    case 'o':
      return 16;
    case 'd':
      return insn.vex_256 ? 32 : 8;
    case 'w':
      return insn.operand_size;
    case 'W':
      return insn.rex_w ? 8 : 4;
    default:
      return static_cast<uint8_t>(size - '0');
  }
}

// A gather's three registers differ, and it needs a SIB byte.
bool gather_exists(const Insn& insn) {
  return insn.vector_index != decode::kNoRegister && insn.reg != insn.vvvv &&
         insn.reg != insn.vector_index && insn.vvvv != insn.vector_index;
}

VexForm form_of(const Row& row, const Insn& insn) {
  VexForm form{static_cast<VexOperands>(row.operands), bytes(row.size, insn)};
  for (const char* what = row.more; *what != 0; ++what) {
    if (*what == 'a') form.arithmetic = true;
    if (*what == 'c') form.flags = true;
    if (*what == 'A' && insn.memory) form.alignment = form.size;
  }
  return form;
}

}  // namespace

std::optional<VexForm> vex_form(const Insn& insn) {
  for (const Row& row : kRows) {
    if (!matches(row, insn)) continue;
    const VexForm form = form_of(row, insn);
    if (insn.vvvv != 0 && !uses_vvvv(form.operands)) return std::nullopt;
    if (form.operands == VexOperands::kGather && !gather_exists(insn)) return std::nullopt;
    return form;
  }
  return std::nullopt;
}

}  // namespace husk::soft::fpu
