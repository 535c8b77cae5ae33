// VEX-encoded instructions: every opcode of the three maps with every prefix, length and width.
// What the built-in CPU makes of them says which registers and how much memory; that those which
// mean nothing to it mean nothing to the host either is a part of the comparison.
#include <fmt/format.h>

#include "backend/soft/fpu/vex_table.h"
#include "cpu_diff/form.h"

namespace husk::cpu_diff {
namespace {

using soft::decode::Insn;
using soft::decode::OpMap;
using soft::decode::Rep;
using soft::fpu::vex_form;
using soft::fpu::VexForm;
using soft::fpu::VexOperands;

struct Encoding {
  uint8_t map, prefix, opcode;
  bool longer, wide;
  int8_t extension;
};

Insn insn_of(const Encoding& e, bool memory, uint8_t vvvv) {
  Insn insn;
  insn.vex = insn.has_modrm = true;
  insn.map = static_cast<OpMap>(e.map);
  insn.opcode = e.opcode;
  insn.operand_prefix = e.prefix == 0x66;
  insn.rep = e.prefix == 0xf3 ? Rep::kRepe : e.prefix == 0xf2 ? Rep::kRepne : Rep::kNone;
  insn.vex_256 = e.longer;
  insn.rex_w = e.wide;
  insn.operand_size = e.wide ? 8 : 4;
  insn.memory = memory;
  insn.vvvv = vvvv;
  insn.reg = e.extension >= 0 ? static_cast<uint8_t>(e.extension) : uint8_t{2};
  if (memory) insn.vector_index = 1;
  return insn;
}

bool has_extension(const Encoding& e) {
  if (e.map == 1) return (e.opcode >= 0x71 && e.opcode <= 0x73) || e.opcode == 0xae;
  return e.map == 2 && e.opcode == 0xf3;
}

// Of features that the host may have and the models have not: AVX-512's mask registers, AMX, VNNI
// and its kin, IFMA, NE conversions, SHA512, SM3, SM4, GFNI, CMPccXADD, and the 256-bit forms of
// AES and PCLMULQDQ.
bool may_be_newer(const Encoding& e) {
  const auto in = [&](int first, int last) { return e.opcode >= first && e.opcode <= last; };
  if (e.map == 1) return in(0x41, 0x4b) || in(0x90, 0x93) || in(0x98, 0x99);
  if (e.map == 2) {
    return in(0x48, 0x53) || in(0x5c, 0x5f) || in(0x6c, 0x6f) || in(0x72, 0x72) || in(0xb0, 0xb5) ||
           in(0xcb, 0xcf) || in(0xd2, 0xdf) || in(0xe0, 0xef);
  }
  return in(0x30, 0x33) || in(0x44, 0x44) || in(0xce, 0xcf) || in(0xde, 0xde);
}

Form base_form(const Encoding& e) {
  Form form;
  form.name = fmt::format("vex {}.{:02x}.{:02x}", e.map, e.prefix, e.opcode);
  form.vex = true;
  form.vex_map = e.map;
  form.prefix = e.prefix;
  form.opcode[0] = e.opcode;
  form.opcode_length = 1;
  form.vex_256 = e.longer;
  form.vex_wide = e.wide;
  form.extension = e.extension;
  form.modrm = e.map != 1 || e.opcode != 0x77;
  const bool immediate =
      e.map == 3 || (e.map == 1 && ((e.opcode >= 0x70 && e.opcode <= 0x73) || e.opcode == 0xc2 ||
                                    (e.opcode >= 0xc4 && e.opcode <= 0xc6)));
  form.imm = immediate ? Imm::kByte : Imm::kNone;
  form.width = e.wide ? Width::kQuad : Width::kFixed;
  form.reg_file = form.rm_file = RegFile::kXmm;
  return form;
}

void set_flags(const Encoding& e, const VexForm& known, Form& form) {
  if (!known.flags) return;
  if (!is_general(known.operands)) {
    form.defines = kStatusFlags;
    return;
  }
  form.defines = kFlagO | kFlagZ | kFlagC | kFlagS;
  form.undefined = kFlagA | kFlagP;
  if (e.opcode != 0xf7) return;  // BEXTR
  form.defines &= ~kFlagS;
  form.undefined |= kFlagS;
}

void set_setup(const VexForm& known, Form& form) {
  constexpr uint16_t kDi = 1u << 7, kAx = 1u << 0, kCx = 1u << 1;
  switch (known.operands) {
    case VexOperands::kGather:
      form.setup = Setup::kGather;
      break;
    case VexOperands::kMaskedLoad:
    case VexOperands::kMaskedStore:
      form.setup = Setup::kMaskedLanes;
      form.memory_bytes = form.vex_256 ? 32 : 16;
      break;
    case VexOperands::kMaskMove:
      form.setup = Setup::kMaskMove;
      form.touches = kDi;
      break;
    case VexOperands::kLoadControl:
      form.setup = Setup::kMxcsr;
      break;
    case VexOperands::kStringIndex:
    case VexOperands::kStringMask:
      form.touches = kAx | kCx;
      break;
    default:
      break;
  }
}

// The forms of one encoding: what is defined, and what the other kind of operand makes of it.
void add(const Encoding& e, std::vector<Form>& defined, std::vector<Form>& undefined) {
  const auto with_register = vex_form(insn_of(e, false, 0));
  const auto with_memory = vex_form(insn_of(e, true, 0));
  Form form = base_form(e);
  if (with_register || with_memory) {
    const VexForm& known = with_memory ? *with_memory : *with_register;
    form.rm = !with_memory ? RmKind::kRegister : !with_register ? RmKind::kMemory : RmKind::kEither;
    if (known.operands == VexOperands::kZero) form.modrm = false;
    form.memory_bytes = known.size;
    form.aligned = known.alignment > 1;
    form.vex_register = vex_form(insn_of(e, with_memory.has_value(), 3)).has_value();
    set_flags(e, known, form);
    set_setup(known, form);
    defined.push_back(form);
  }
  if ((with_register && with_memory) || may_be_newer(e)) return;
  Form rest = base_form(e);
  rest.rm = with_register ? RmKind::kMemory : with_memory ? RmKind::kRegister : RmKind::kEither;
  rest.memory_bytes = 1;
  rest.system = true;
  if (rest.modrm) undefined.push_back(rest);
}

template <class Each>
void for_each_encoding(Each each) {
  for (const uint8_t map : {1, 2, 3})
    for (const uint8_t prefix : {0, 0x66, 0xf3, 0xf2})
      for (int opcode = 0; opcode < 256; ++opcode)
        for (int bits = 0; bits < 4; ++bits) {
          Encoding e{map, prefix, static_cast<uint8_t>(opcode), (bits & 1) != 0, (bits & 2) != 0,
                     -1};
          const int8_t last = has_extension(e) ? 7 : -1;
          for (e.extension = last < 0 ? -1 : 0; e.extension <= last; ++e.extension) each(e);
        }
}

std::vector<Form> forms(bool wanted) {
  std::vector<Form> defined, undefined;
  if (host_has_v3()) for_each_encoding([&](const Encoding& e) { add(e, defined, undefined); });
  return wanted ? defined : undefined;
}

}  // namespace

std::vector<Form> vex_forms() { return forms(true); }
std::vector<Form> undefined_vex_forms() { return forms(false); }

}  // namespace husk::cpu_diff
