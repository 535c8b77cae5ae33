// The decoder against Zydis, an independent one, over every opcode with every ModRM byte under the
// prefixes that matter, and over random byte strings, in all three code sizes.
//
// Zydis knows more than an encoding: it refuses operands, prefixes and registers that are #UD.
// Where it refuses, ours may accept, for the interpreter raises that #UD; but never may ours refuse
// what Zydis accepts, except for the extensions that this CPU does not have (see not_offered()).
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "backend/soft/decode/insn.h"

namespace husk::soft::decode {
namespace {

using Bytes = std::array<uint8_t, 16>;

constexpr CodeSize kSizes[] = {CodeSize::k16, CodeSize::k32, CodeSize::k64};

class Oracle {
 public:
  explicit Oracle(CodeSize size) {
    const auto mode = size == CodeSize::k64   ? ZYDIS_MACHINE_MODE_LONG_64
                      : size == CodeSize::k32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                              : ZYDIS_MACHINE_MODE_LEGACY_16;
    const auto width = size == CodeSize::k64   ? ZYDIS_STACK_WIDTH_64
                       : size == CodeSize::k32 ? ZYDIS_STACK_WIDTH_32
                                               : ZYDIS_STACK_WIDTH_16;
    ZydisDecoderInit(&decoder_, mode, width);
    // Without these features their encodings are NOPs or plainer instructions, as on this CPU.
    for (const auto feature :
         {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_LZCNT,
          ZYDIS_DECODER_MODE_TZCNT, ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE,
          ZYDIS_DECODER_MODE_KNC}) {
      ZydisDecoderEnableMode(&decoder_, feature, ZYAN_FALSE);
    }
  }
  bool decode(const Bytes& bytes) {
    return ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &insn, operands.data()));
  }

  ZydisDecodedInstruction insn{};
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands{};

 private:
  ZydisDecoder decoder_{};
};

std::string hex(const Bytes& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[byte >> 4], kDigits[byte & 15], ' '};
  }
  return text;
}

// What Zydis knows and this CPU does not have.
bool not_offered(const ZydisDecodedInstruction& insn) {
  switch (insn.mnemonic) {
    case ZYDIS_MNEMONIC_GETSEC:
    case ZYDIS_MNEMONIC_VMREAD:
    case ZYDIS_MNEMONIC_VMWRITE:
    case ZYDIS_MNEMONIC_EXTRQ:
    case ZYDIS_MNEMONIC_INSERTQ:
    case ZYDIS_MNEMONIC_FEMMS:
    case ZYDIS_MNEMONIC_HRESET:
    case ZYDIS_MNEMONIC_JKZD:  // of Xeon Phi, under VEX
    case ZYDIS_MNEMONIC_JKNZD:
      return true;
    default:
      break;
  }
  if (insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) return false;
  if (insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return true;  // EVEX, XOP, 3DNow!
  const auto category = insn.meta.category;
  return category == ZYDIS_CATEGORY_PADLOCK || category == ZYDIS_CATEGORY_SGX ||
         insn.meta.isa_ext == ZYDIS_ISA_EXT_KEYLOCKER ||
         insn.meta.isa_ext == ZYDIS_ISA_EXT_KEYLOCKER_WIDE;
}

uint8_t segment_number(ZydisRegister reg) { return static_cast<uint8_t>(reg - ZYDIS_REGISTER_ES); }

uint8_t register_number(ZydisRegister reg) {
  if (reg == ZYDIS_REGISTER_NONE) return kNoRegister;
  if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) return kRipBase;
  return static_cast<uint8_t>(ZydisRegisterGetId(reg));
}

const ZydisDecodedOperand* memory_operand(const Oracle& oracle) {
  for (uint32_t i = 0; i < oracle.insn.operand_count_visible; ++i) {
    const auto& operand = oracle.operands[i];
    const bool encoded = operand.encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ||
                         operand.encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64;
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && encoded) return &operand;
  }
  return nullptr;
}

// The size is compared where it means something: not under a mandatory prefix, nor for byte-sized
// opcodes (to which Zydis gives 8 bits), nor for instructions whose operand, if any, is as large as
// it is.
bool size_matters(const ZydisDecodedInstruction& insn) {
  if (insn.operand_width == 8) return false;
  if (insn.meta.isa_ext != ZYDIS_ISA_EXT_BASE && insn.meta.isa_ext != ZYDIS_ISA_EXT_LONGMODE)
    return false;
  switch (insn.meta.category) {
    case ZYDIS_CATEGORY_SYSTEM:
      return insn.mnemonic == ZYDIS_MNEMONIC_MOV;
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_WIDENOP:
      return false;
    default:
      break;
  }
  switch (insn.mnemonic) {
    case ZYDIS_MNEMONIC_CMPXCHG8B:
      return false;
    case ZYDIS_MNEMONIC_INSD:
    case ZYDIS_MNEMONIC_OUTSD:
      return insn.operand_width != 64;  // there is no such form; Zydis counts REX.W all the same
    default:
      return true;
  }
}

// Zydis 4.0 takes r13d for the base of a SIB without base under 67 and REX.B. A processor does not;
// nor does Zydis with 64-bit addresses.
bool missing_base_misread(const ZydisDecodedInstruction& insn) {
  return insn.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 && insn.address_width == 32 &&
         insn.raw.rex.B != 0 && insn.raw.modrm.mod == 0 && insn.raw.modrm.rm == 4 &&
         insn.raw.sib.base == 5;
}

void compare_memory(const ZydisDecodedOperand& theirs, const Insn& ours, std::string& wrong) {
  if (ours.mem.base != register_number(theirs.mem.base)) wrong += " base";
  const bool vectors = theirs.mem.type == ZYDIS_MEMOP_TYPE_VSIB;
  const uint8_t index = vectors ? ours.vector_index : ours.mem.index;
  if (index != register_number(theirs.mem.index)) wrong += " index";
  const uint8_t scale = theirs.mem.index == ZYDIS_REGISTER_NONE ? 1 : theirs.mem.scale;
  if (1u << ours.mem.scale_log2 != scale) wrong += " scale";
  int64_t displacement = theirs.mem.disp.has_displacement ? theirs.mem.disp.value : 0;
  if (!ours.has_modrm && ours.address_size == 4) displacement &= 0xffffffff;
  if (!ours.has_modrm && ours.address_size == 2) displacement &= 0xffff;
  if (ours.mem.displacement != displacement) wrong += " displacement";
  // LEA and its like have no segment to Zydis.
  if (theirs.mem.type == ZYDIS_MEMOP_TYPE_MEM &&
      ours.mem.segment != segment_number(theirs.mem.segment))
    wrong += " segment";
}

void compare_immediates(const ZydisDecodedInstruction& theirs, const Insn& ours,
                        std::string& wrong) {
  const auto& first = theirs.raw.imm[0];
  const auto& second = theirs.raw.imm[1];
  const bool far = theirs.raw.disp.size == 0 && second.size != 0;
  if (ours.imm_size * 8 != first.size) wrong += " imm_size";
  const uint64_t mask = first.size == 64 ? ~uint64_t{0} : (uint64_t{1} << first.size) - 1;
  if ((static_cast<uint64_t>(ours.imm) & mask) != (first.value.u & mask)) wrong += " imm";
  if (far && (ours.imm2_size * 8 != second.size || ours.imm2 != (second.value.u & 0xffff)))
    wrong += " imm2";
}

std::string differences(const Oracle& oracle, const Insn& ours) {
  std::string wrong;
  const auto& theirs = oracle.insn;
  if (ours.length != theirs.length) wrong += " length";
  if (ours.opcode != theirs.opcode) wrong += " opcode";
  if (ours.address_size * 8 != theirs.address_width) wrong += " address_size";
  if (size_matters(theirs) && ours.operand_size * 8 != theirs.operand_width)
    wrong += " operand_size";
  const auto* memory = memory_operand(oracle);
  if (memory != nullptr && !ours.memory) wrong += " memory";
  if (memory != nullptr && ours.memory && !missing_base_misread(theirs))
    compare_memory(*memory, ours, wrong);
  const bool has_modrm = (theirs.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
  if (has_modrm && ours.has_modrm && ours.group() != theirs.raw.modrm.reg) wrong += " group";
  compare_immediates(theirs, ours, wrong);
  return wrong;
}

// Which opcodes of ours Zydis accepted at least once.
using Seen = std::set<std::pair<OpMap, uint8_t>>;

class Comparison {
 public:
  explicit Comparison(CodeSize size) : size_(size), oracle_(size) {}

  void check(const Bytes& bytes) {
    ++cases;
    Insn ours;
    const Status status = decode(bytes, size_, ours);
    const bool known = oracle_.decode(bytes);
    if (status == Status::kOk && !ours.vex) accepted_.insert({ours.map, ours.opcode});
    if (!known || not_offered(oracle_.insn)) return;
    if (status != Status::kOk) {
      complain(bytes, " refused");
      return;
    }
    confirmed_.insert({ours.map, ours.opcode});
    const std::string wrong = differences(oracle_, ours);
    if (!wrong.empty()) complain(bytes, wrong);
  }

  [[nodiscard]] Seen unconfirmed() const {
    Seen rest;
    for (const auto& op : accepted_) {
      if (!confirmed_.contains(op)) rest.insert(op);
    }
    return rest;
  }

  uint64_t cases = 0;
  uint64_t failures = 0;

 private:
  void complain(const Bytes& bytes, const std::string& wrong) {
    if (++failures > 20) return;
    ADD_FAILURE() << hex(bytes) << " in mode " << static_cast<int>(size_) << ":" << wrong << " ("
                  << ZydisMnemonicGetString(oracle_.insn.mnemonic) << ")";
  }

  CodeSize size_;
  Oracle oracle_;
  Seen accepted_, confirmed_;
};

class Zydis : public ::testing::TestWithParam<CodeSize> {};
INSTANTIATE_TEST_SUITE_P(Sizes, Zydis, ::testing::ValuesIn(kSizes));

const std::vector<std::vector<uint8_t>> kMaps = {{}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};

std::vector<std::vector<uint8_t>> prefix_sets(CodeSize size) {
  std::vector<std::vector<uint8_t>> sets = {{},     {0x66}, {0xf2}, {0xf3},       {0x67},
                                            {0x64}, {0x2e}, {0xf0}, {0x66, 0xf2}, {0x66, 0x67}};
  if (size == CodeSize::k64) {
    for (const std::vector<uint8_t>& rex : std::initializer_list<std::vector<uint8_t>>{
             {0x48}, {0x47}, {0x66, 0x4f}, {0x65, 0x67, 0x41}, {0xf3, 0x48}})
      sets.push_back(rex);
  }
  return sets;
}

TEST_P(Zydis, AgreesOnEveryOpcodeAndModrm) {
  Comparison comparison(GetParam());
  std::mt19937_64 random(1);
  for (const auto& prefixes : prefix_sets(GetParam())) {
    for (const auto& map : kMaps) {
      for (uint32_t op = 0; op < 0x10000; ++op) {  // opcode and the byte behind it
        Bytes bytes;
        const uint64_t noise[2] = {random(), random()};
        std::memcpy(bytes.data(), noise, sizeof noise);
        auto* at = std::copy(prefixes.begin(), prefixes.end(), bytes.data());
        at = std::copy(map.begin(), map.end(), at);
        at[0] = static_cast<uint8_t>(op >> 8);
        at[1] = static_cast<uint8_t>(op);
        comparison.check(bytes);
      }
    }
  }
  // No opcode is accepted that Zydis never accepts.
  for (const auto& [map, op] : comparison.unconfirmed()) {
    ADD_FAILURE() << "only ours knows map " << static_cast<int>(map) << " opcode " << std::hex
                  << int{op};
  }
  EXPECT_GT(comparison.cases, 2'000'000u);
}

TEST_P(Zydis, AgreesOnRandomBytes) {
  Comparison comparison(GetParam());
  std::mt19937_64 random(2);
  constexpr uint8_t kPrefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36,
                                   0x3e, 0x64, 0x65, 0x40, 0x48, 0x4f, 0x0f, 0x41};
  for (int i = 0; i < 1'000'000; ++i) {
    Bytes bytes;
    const uint64_t noise[2] = {random(), random()};
    std::memcpy(bytes.data(), noise, sizeof noise);
    const uint64_t choice = random();
    for (uint32_t k = 0; k < (choice & 7); ++k) bytes[k] = kPrefixes[choice >> (4 + 4 * k) & 15];
    comparison.check(bytes);
  }
}

}  // namespace
}  // namespace husk::soft::decode
