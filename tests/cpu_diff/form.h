// What the generator knows of an instruction form, and the notation that the tables of forms are
// written in.
//
// A form is one line: the opcode as the manuals write it, then words in any order.
//   66 f2 f3        as the first byte: a mandatory prefix;  two hex digits: a byte of the opcode
//   /r  /0../7      ModRM with a register, or with an opcode extension;  +r: a register in the
//   opcode r  m            the ModRM operand is only ever a register, or only memory (else either)
//   b v y s w       operand size: byte; 16, 32 or 64 bits; 32 or 64; of the stack (64 or 16); 64
//   only x p             both operands are XMM, or MMX, registers;  x,r  r,x  x,p  p,x  r,p  p,r:
//   reg and r/m ib iw iz iv     immediates m8 .. m512      bytes of memory touched, in bits (else
//   the operand size);  a16: it must be aligned to 16 bytes lock            LOCK is legal on
//   memory;  sys: an exception in user mode, whatever the operands u:oszapc        flags left
//   undefined;  d:oszapc flags defined (d: all six);  f:c flags read x:acdbSBsD      registers
//   touched beside the operands: rax rcx rdx rbx rsp rbp rsi rdi cpu:NAME        only with this
//   host feature
//   @NAME           operands that need arranging: see setup.h
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace husk::cpu_diff {

constexpr uint32_t kFlagC = 1u << 0, kFlagP = 1u << 2, kFlagA = 1u << 4, kFlagZ = 1u << 6,
                   kFlagS = 1u << 7, kFlagD = 1u << 10, kFlagO = 1u << 11;
constexpr uint32_t kStatusFlags = kFlagC | kFlagP | kFlagA | kFlagZ | kFlagS | kFlagO;

enum class RegFile : uint8_t { kGpr, kXmm, kMmx };
enum class RmKind : uint8_t { kEither, kRegister, kMemory };
enum class Width : uint8_t { kFixed, kByte, kAny, kWord32, kStack, kQuad };
enum class Imm : uint8_t { kNone, kByte, kWord, kZ, kV };
enum class Setup : uint8_t {
  kNone,
  kDivide,
  kBitOffset,
  kString,
  kMoffs,
  kEnter,
  kLeave,
  kPush,
  kPop,
  kPopf,
  kXlat,
  kBranch,
  kBranchReg,
  kReturn,
  kLoop,
  kLea,
  kMaskMove,
  kSegmentRead,
  kShift,
  kBase,
  kMxcsr,
  kFxrstor,
  kFxsave,
  kFnsave,
  kFnstenv,
  kCmpxchg,
  kControl,
  kOwnCode,
  kEnvironment,
  kGather,
  kMaskedLanes,
};

struct Form {
  std::string name;
  bool vex = false;     // with a VEX prefix: `prefix` is its pp, `opcode` one byte
  uint8_t vex_map = 0;  // 1 to 3
  bool vex_256 = false, vex_wide = false;
  bool vex_register = false;  // VEX.vvvv is an operand
  uint8_t prefix = 0;
  std::array<uint8_t, 3> opcode{};
  uint8_t opcode_length = 0;
  bool modrm = false;
  bool opcode_register = false;
  int8_t extension = -1;  // of ModRM.reg; -1: a register
  RegFile reg_file = RegFile::kGpr, rm_file = RegFile::kGpr;
  RmKind rm = RmKind::kEither;
  Width width = Width::kFixed;
  Imm imm = Imm::kNone;
  uint16_t memory_bytes = 0;  // 0: the operand size
  bool aligned = false;
  bool lock = false;
  uint32_t undefined = 0, defines = 0, reads = 0;
  uint16_t touches = 0;  // mask of registers
  Setup setup = Setup::kNone;
  bool system = false;  // an exception in user mode, whatever its operands
};

// One line of a table.
struct FormLine {
  std::string_view name;
  std::string_view text;
};

// Parses a line; ends the program with a message if the table is malformed. Empty where the host
// lacks the feature; several forms where the line stands for a family:
//   both   the MMX form without prefix and the XMM form with 66
//   fp     the four forms of a floating-point operation: PS, PD, SS, SD
std::vector<Form> parse_form(const FormLine& line);

// All forms, by kind.
struct FormTables {
  std::vector<Form> integer, flow, sse, x87, undefined, vex, vex_undefined;
};
const FormTables& form_tables();

std::vector<Form> integer_forms();
std::vector<Form> flow_forms();  // they end a case
std::vector<Form> sse_forms();
std::vector<Form> x87_forms();
std::vector<Form> undefined_forms();
// What x86-64-v3 adds under VEX, and what VEX has no meaning for. Empty where the host lacks any of
// it.
std::vector<Form> vex_forms();
std::vector<Form> undefined_vex_forms();
// AVX, AVX2, BMI1, BMI2, F16C, FMA, LZCNT and MOVBE.
[[nodiscard]] bool host_has_v3();

}  // namespace husk::cpu_diff
