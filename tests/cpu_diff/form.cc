#include "cpu_diff/form.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace husk::cpu_diff {
namespace {

[[noreturn]] void malformed(const FormLine& line, std::string_view word) {
  std::fprintf(stderr, "form table: %.*s: %.*s: what is \"%.*s\"?\n",
               static_cast<int>(line.name.size()), line.name.data(),
               static_cast<int>(line.text.size()), line.text.data(), static_cast<int>(word.size()),
               word.data());
  std::exit(2);
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (end != 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool hex_byte(std::string_view word, uint8_t& value) {
  if (word.size() != 2 || hex_digit(word[0]) < 0 || hex_digit(word[1]) < 0) return false;
  value = static_cast<uint8_t>(hex_digit(word[0]) * 16 + hex_digit(word[1]));
  return true;
}

bool host_has(std::string_view feature) {
  if (feature == "ssse3") return __builtin_cpu_supports("ssse3");
  if (feature == "sse41") return __builtin_cpu_supports("sse4.1");
  if (feature == "sse42") return __builtin_cpu_supports("sse4.2");
  if (feature == "sse3") return __builtin_cpu_supports("sse3");
  if (feature == "popcnt") return __builtin_cpu_supports("popcnt");
  if (feature == "aes") return __builtin_cpu_supports("aes");
  if (feature == "pclmul") return __builtin_cpu_supports("pclmul");
  if (feature == "movbe") return __builtin_cpu_supports("movbe");
  if (feature == "adx") return __builtin_cpu_supports("adx");
  if (feature == "sha") return __builtin_cpu_supports("sha");
  if (feature == "v3") return host_has_v3();
  return false;
}

bool parse_flags(std::string_view letters, uint32_t& mask) {
  for (const char letter : letters) {
    constexpr std::string_view kLetters = "oszapcd";
    constexpr uint32_t kFlags[] = {kFlagO, kFlagS, kFlagZ, kFlagA, kFlagP, kFlagC, kFlagD};
    const size_t index = kLetters.find(letter);
    if (index == std::string_view::npos) return false;
    mask |= kFlags[index];
  }
  return true;
}

bool parse_touches(std::string_view letters, uint16_t& mask) {
  for (const char letter : letters) {
    constexpr std::string_view kLetters = "acdbSBsD";
    const size_t index = kLetters.find(letter);
    if (index == std::string_view::npos) return false;
    mask = static_cast<uint16_t>(mask | 1u << index);
  }
  return true;
}

bool parse_setup(std::string_view name, Setup& setup) {
  struct Named {
    std::string_view name;
    Setup setup;
  };
  static constexpr Named kNames[] = {
      {"divide", Setup::kDivide},    {"bit", Setup::kBitOffset},
      {"string", Setup::kString},    {"moffs", Setup::kMoffs},
      {"enter", Setup::kEnter},      {"leave", Setup::kLeave},
      {"push", Setup::kPush},        {"pop", Setup::kPop},
      {"popf", Setup::kPopf},        {"xlat", Setup::kXlat},
      {"branch", Setup::kBranch},    {"branchreg", Setup::kBranchReg},
      {"return", Setup::kReturn},    {"loop", Setup::kLoop},
      {"lea", Setup::kLea},          {"maskmove", Setup::kMaskMove},
      {"sreg", Setup::kSegmentRead}, {"shift", Setup::kShift},
      {"base", Setup::kBase},        {"mxcsr", Setup::kMxcsr},
      {"fxrstor", Setup::kFxrstor},  {"fxsave", Setup::kFxsave},
      {"fnsave", Setup::kFnsave},    {"fnstenv", Setup::kFnstenv},
      {"cmpxchg", Setup::kCmpxchg},  {"control", Setup::kControl},
      {"owncode", Setup::kOwnCode},  {"environment", Setup::kEnvironment},
  };
  for (const Named& entry : kNames) {
    if (entry.name == name) {
      setup = entry.setup;
      return true;
    }
  }
  return false;
}

bool parse_files(std::string_view word, Form& form) {
  const auto file = [](char c, RegFile& out) {
    if (c != 'x' && c != 'p' && c != 'r') return false;
    out = c == 'x' ? RegFile::kXmm : c == 'p' ? RegFile::kMmx : RegFile::kGpr;
    return true;
  };
  if (word == "x" || word == "p")
    return file(word[0], form.reg_file) && file(word[0], form.rm_file);
  return word.size() == 3 && word[1] == ',' && file(word[0], form.reg_file) &&
         file(word[2], form.rm_file);
}

bool parse_modrm(std::string_view word, Form& form) {
  if (word == "+r") {
    form.opcode_register = true;
    return true;
  }
  if (word.size() != 2 || word[0] != '/') return false;
  form.modrm = true;
  if (word[1] != 'r') form.extension = static_cast<int8_t>(word[1] - '0');
  return word[1] == 'r' || (word[1] >= '0' && word[1] <= '7');
}

bool parse_width(std::string_view word, Form& form) {
  if (word.size() != 1) return false;
  switch (word[0]) {
    case 'b':
      form.width = Width::kByte;
      return true;
    case 'v':
      form.width = Width::kAny;
      return true;
    case 'y':
      form.width = Width::kWord32;
      return true;
    case 's':
      form.width = Width::kStack;
      return true;
    case 'w':
      form.width = Width::kQuad;
      return true;
    default:
      return false;
  }
}

bool parse_operand(std::string_view word, Form& form) {
  if (word == "r")
    form.rm = RmKind::kRegister;
  else if (word == "m")
    form.rm = RmKind::kMemory;
  else if (word == "ib")
    form.imm = Imm::kByte;
  else if (word == "iw")
    form.imm = Imm::kWord;
  else if (word == "iz")
    form.imm = Imm::kZ;
  else if (word == "iv")
    form.imm = Imm::kV;
  else if (word == "a16")
    form.aligned = true;
  else if (word == "lock")
    form.lock = true;
  else if (word == "sys")
    form.system = true;
  else if (word.size() > 1 && word[0] == 'm' && word[1] <= '9')
    form.memory_bytes = static_cast<uint16_t>(std::atoi(word.data() + 1) / 8);
  else
    return false;
  return true;
}

bool parse_word(std::string_view word, Form& form) {
  if (word.starts_with("u:")) return parse_flags(word.substr(2), form.undefined);
  if (word == "d:") return parse_flags("oszapc", form.defines);
  if (word.starts_with("d:")) return parse_flags(word.substr(2), form.defines);
  if (word.starts_with("f:")) return parse_flags(word.substr(2), form.reads);
  if (word.starts_with("x:")) return parse_touches(word.substr(2), form.touches);
  if (word.starts_with("@")) return parse_setup(word.substr(1), form.setup);
  return parse_width(word, form) || parse_modrm(word, form) || parse_operand(word, form) ||
         parse_files(word, form);
}

Form mmx_variant(Form form) {
  form.reg_file = form.rm_file = RegFile::kMmx;
  form.memory_bytes = 8;
  return form;
}

Form packed_variant(Form form, uint8_t prefix) {
  form.prefix = prefix;
  form.reg_file = form.rm_file = RegFile::kXmm;
  form.memory_bytes = 16;
  form.aligned = true;
  return form;
}

Form scalar_variant(Form form, uint8_t prefix) {
  form.prefix = prefix;
  form.reg_file = form.rm_file = RegFile::kXmm;
  form.memory_bytes = prefix == 0xf3 ? 4 : 8;
  return form;
}

}  // namespace

bool host_has_v3() { return __builtin_cpu_supports("x86-64-v3"); }

std::vector<Form> parse_form(const FormLine& line) {
  Form form;
  form.name = line.name;
  bool both = false, floating = false;
  for (const std::string_view word : split(line.text)) {
    uint8_t byte = 0;
    if (hex_byte(word, byte)) {
      const bool prefix = form.opcode_length == 0 && (byte == 0x66 || byte == 0xf2 || byte == 0xf3);
      if (prefix) {
        form.prefix = byte;
      } else {
        if (form.opcode_length == form.opcode.size()) malformed(line, word);
        form.opcode[form.opcode_length++] = byte;
      }
    } else if (word.starts_with("cpu:")) {
      if (!host_has(word.substr(4))) return {};
    } else if (word == "both") {
      both = true;
    } else if (word == "fp") {
      floating = true;
    } else if (!parse_word(word, form)) {
      malformed(line, word);
    }
  }
  if (both) return {mmx_variant(form), packed_variant(form, 0x66)};
  if (floating) {
    return {packed_variant(form, 0), packed_variant(form, 0x66), scalar_variant(form, 0xf3),
            scalar_variant(form, 0xf2)};
  }
  return {form};
}

const FormTables& form_tables() {
  static const FormTables tables{integer_forms(),   flow_forms(), sse_forms(),          x87_forms(),
                                 undefined_forms(), vex_forms(),  undefined_vex_forms()};
  return tables;
}

}  // namespace husk::cpu_diff
