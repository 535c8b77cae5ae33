// The forms of general-purpose instructions (Intel SDM vol. 2), without those that change the flow
// of control.
#include <fmt/format.h>

#include "cpu_diff/form.h"

namespace husk::cpu_diff {
namespace {

constexpr FormLine kLines[] = {
    {"test", "84 /r b d: u:a"},
    {"test", "85 /r v d: u:a"},
    {"test al", "a8 ib b d: u:a"},
    {"test eax", "a9 iz v d: u:a"},
    {"test", "f6 /0 ib b d: u:a"},
    {"test", "f7 /0 iz v d: u:a"},
    {"test", "f6 /1 ib b d: u:a"},
    {"test", "f7 /1 iz v d: u:a"},
    {"xchg", "86 /r b lock"},
    {"xchg", "87 /r v lock"},
    {"xchg eax", "90 +r v x:a"},
    {"mov", "88 /r b"},
    {"mov", "89 /r v"},
    {"mov", "8a /r b"},
    {"mov", "8b /r v"},
    {"mov", "b0 +r ib b"},
    {"mov", "b8 +r iv v"},
    {"mov", "c6 /0 ib b"},
    {"mov", "c7 /0 iz v"},
    {"mov own code", "c6 /0 ib b m @owncode"},
    {"mov moffs", "a0 b x:a @moffs"},
    {"mov moffs", "a1 v x:a @moffs"},
    {"mov moffs", "a2 b @moffs"},
    {"mov moffs", "a3 v @moffs"},
    {"mov sreg", "8c /r v m16 @sreg"},
    {"movsxd", "63 /r v m32"},
    {"movzx", "0f b6 /r v m8"},
    {"movzx", "0f b7 /r v m16"},
    {"movsx", "0f be /r v m8"},
    {"movsx", "0f bf /r v m16"},
    {"movnti", "0f c3 /r y m"},
    {"movbe", "0f 38 f0 /r v m cpu:movbe"},
    {"movbe", "0f 38 f1 /r v m cpu:movbe"},
    {"lea", "8d /r v m @lea"},
    {"inc", "fe /0 b lock d:oszap"},
    {"inc", "ff /0 v lock d:oszap"},
    {"dec", "fe /1 b lock d:oszap"},
    {"dec", "ff /1 v lock d:oszap"},
    {"not", "f6 /2 b lock"},
    {"not", "f7 /2 v lock"},
    {"neg", "f6 /3 b lock d:"},
    {"neg", "f7 /3 v lock d:"},
    {"mul", "f6 /4 b d: u:szap x:a"},
    {"mul", "f7 /4 v d: u:szap x:ad"},
    {"imul", "f6 /5 b d: u:szap x:a"},
    {"imul", "f7 /5 v d: u:szap x:ad"},
    {"imul", "0f af /r v d: u:szap"},
    {"imul", "69 /r iz v d: u:szap"},
    {"imul", "6b /r ib v d: u:szap"},
    {"div", "f6 /6 b u:oszapc x:a @divide"},
    {"div", "f7 /6 v u:oszapc x:ad @divide"},
    {"idiv", "f6 /7 b u:oszapc x:a @divide"},
    {"idiv", "f7 /7 v u:oszapc x:ad @divide"},
    {"shld", "0f a4 /r ib v u:oa @shift"},
    {"shld", "0f a5 /r v u:oa x:c @shift"},
    {"shrd", "0f ac /r ib v u:oa @shift"},
    {"shrd", "0f ad /r v u:oa x:c @shift"},
    {"bt", "0f a3 /r v d:c u:osap @bit"},
    {"bts", "0f ab /r v lock d:c u:osap @bit"},
    {"btr", "0f b3 /r v lock d:c u:osap @bit"},
    {"btc", "0f bb /r v lock d:c u:osap @bit"},
    {"bt", "0f ba /4 ib v d:c u:osap"},
    {"bts", "0f ba /5 ib v lock d:c u:osap"},
    {"btr", "0f ba /6 ib v lock d:c u:osap"},
    {"btc", "0f ba /7 ib v lock d:c u:osap"},
    {"bsf", "0f bc /r v d:z u:osapc"},
    {"bsr", "0f bd /r v d:z u:osapc"},
    {"tzcnt", "f3 0f bc /r v d:cz u:osap cpu:v3"},
    {"lzcnt", "f3 0f bd /r v d:cz u:osap cpu:v3"},
    {"popcnt", "f3 0f b8 /r v d: cpu:popcnt"},
    {"bswap", "0f c8 +r y"},
    {"cmpxchg", "0f b0 /r b lock d: x:a @cmpxchg"},
    {"cmpxchg", "0f b1 /r v lock d: x:a @cmpxchg"},
    {"cmpxchg8b", "0f c7 /1 m m64 lock d:z x:ad @cmpxchg"},
    {"cmpxchg16b", "0f c7 /1 w m m128 a16 lock d:z x:ad @cmpxchg"},
    {"xadd", "0f c0 /r b lock d:"},
    {"xadd", "0f c1 /r v lock d:"},
    {"cbw", "98 v x:a"},
    {"cwd", "99 v x:d"},
    {"lahf", "9f x:a f:szapc"},
    {"sahf", "9e d:szapc"},
    {"clc", "f8 d:c"},
    {"stc", "f9 d:c"},
    {"cmc", "f5 f:c"},
    {"cld", "fc d:d"},
    {"std", "fd d:d"},
    {"xlat", "d7 x:a @xlat"},
    {"crc32", "f2 0f 38 f0 /r b cpu:sse42"},
    {"crc32", "f2 0f 38 f1 /r v cpu:sse42"},
    {"adcx", "66 0f 38 f6 /r y d:c f:c cpu:adx"},
    {"adox", "f3 0f 38 f6 /r y d:o f:o cpu:adx"},
    {"nop", "0f 1f /0 v m8 @lea"},
    {"endbr64", "f3 0f 1e fa"},
    {"pause", "f3 90"},
    {"lfence", "0f ae e8"},
    {"mfence", "0f ae f0"},
    {"sfence", "0f ae f8"},
    {"prefetch", "0f 18 /1 m m8 @lea"},
    {"prefetchw", "0f 0d /1 m m8 @lea"},
    {"clflush", "0f ae /7 m m8"},
    {"rdfsbase", "f3 0f ae /0 y r @base"},
    {"rdgsbase", "f3 0f ae /1 y r @base"},
    {"wrfsbase", "f3 0f ae /2 y r @base"},
    {"wrgsbase", "f3 0f ae /3 y r @base"},
    // The stack.
    {"push", "50 +r s x:S @push"},
    {"push", "ff /6 s x:S @push"},
    {"push", "68 iz s x:S @push"},
    {"push", "6a ib s x:S @push"},
    {"push fs", "0f a0 s x:S @push"},
    {"push gs", "0f a8 s x:S @push"},
    {"pop", "58 +r s x:S @pop"},
    {"pop", "8f /0 s x:S @pop"},
    {"pushf", "9c s x:S f:oszapc @push"},
    {"popf", "9d s x:S d:oszapcd @popf"},
    {"enter", "c8 s x:SB @enter"},
    {"leave", "c9 s x:SB @leave"},
    // Strings; their registers are arranged, and a repeat prefix chosen, by the set-up.
    {"movs", "a4 b x:csD f:d @string"},
    {"movs", "a5 v x:csD f:d @string"},
    {"cmps", "a6 b d: x:csD f:d @string"},
    {"cmps", "a7 v d: x:csD f:d @string"},
    {"stos", "aa b x:cD f:d @string"},
    {"stos", "ab v x:cD f:d @string"},
    {"lods", "ac b x:acs f:d @string"},
    {"lods", "ad v x:acs f:d @string"},
    {"scas", "ae b d: x:cD f:d @string"},
    {"scas", "af v d: x:cD f:d @string"},
    // Not for users, or for nobody.
    {"hlt", "f4 sys"},
    {"cli", "fa sys"},
    {"sti", "fb sys"},
    {"in", "e4 ib sys"},
    {"in", "ed sys"},
    {"out", "e6 ib sys"},
    {"out", "ee sys"},
    {"clts", "0f 06 sys"},
    {"invd", "0f 08 sys"},
    {"wbinvd", "0f 09 sys"},
    {"rdmsr", "0f 32 sys"},
    {"wrmsr", "0f 30 sys"},
    {"mov cr0", "0f 20 c0 sys"},
    {"mov cr3", "0f 22 d8 sys"},
    {"mov dr7", "0f 23 f8 sys"},
    {"swapgs", "0f 01 f8 sys"},
    {"ud2", "0f 0b sys"},
    {"ud1", "0f b9 c1 sys"},
    {"int1", "f1 sys"},
    {"int3", "cc sys"},
};

void add(std::vector<Form>& forms, std::string_view name, const std::string& text) {
  for (Form& form : parse_form({name, text})) forms.push_back(std::move(form));
}

void add_alu(std::vector<Form>& forms) {
  constexpr std::string_view kNames[8] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
  for (int row = 0; row < 8; ++row) {
    const bool logic = row == 1 || row == 4 || row == 6;
    const bool carry = row == 2 || row == 3;
    const std::string flags = fmt::format("d:{}{}", logic ? " u:a" : "", carry ? " f:c" : "");
    const std::string locked = row == 7 ? flags : flags + " lock";
    const int op = row * 8;
    add(forms, kNames[row], fmt::format("{:02x} /r b {}", op, locked));
    add(forms, kNames[row], fmt::format("{:02x} /r v {}", op + 1, locked));
    add(forms, kNames[row], fmt::format("{:02x} /r b {}", op + 2, flags));
    add(forms, kNames[row], fmt::format("{:02x} /r v {}", op + 3, flags));
    add(forms, kNames[row], fmt::format("{:02x} ib b x:a {}", op + 4, flags));
    add(forms, kNames[row], fmt::format("{:02x} iz v x:a {}", op + 5, flags));
    add(forms, kNames[row], fmt::format("80 /{} ib b {}", row, locked));
    add(forms, kNames[row], fmt::format("81 /{} iz v {}", row, locked));
    add(forms, kNames[row], fmt::format("83 /{} ib v {}", row, locked));
  }
}

// The flags of a shift by more than one, or by none, are not all defined; what a count of zero
// leaves alone must count as undefined still if it was, so no flag counts as defined.
void add_shifts(std::vector<Form>& forms) {
  constexpr std::string_view kNames[8] = {"rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar"};
  for (int row = 0; row < 8; ++row) {
    const std::string flags = row < 2 ? "u:o @shift" : row < 4 ? "u:o f:c @shift" : "u:oa @shift";
    add(forms, kNames[row], fmt::format("c0 /{} ib b {}", row, flags));
    add(forms, kNames[row], fmt::format("c1 /{} ib v {}", row, flags));
    add(forms, kNames[row], fmt::format("d0 /{} b {}", row, flags));
    add(forms, kNames[row], fmt::format("d1 /{} v {}", row, flags));
    add(forms, kNames[row], fmt::format("d2 /{} b {}", row, flags));
    add(forms, kNames[row], fmt::format("d3 /{} v {}", row, flags));
  }
}

std::string condition_reads(int condition) {
  constexpr std::string_view kReads[8] = {"o", "c", "z", "cz", "s", "p", "so", "szo"};
  return fmt::format("f:{}", kReads[condition / 2]);
}

void add_conditional(std::vector<Form>& forms) {
  for (int cc = 0; cc < 16; ++cc) {
    add(forms, "setcc", fmt::format("0f {:02x} /0 b {}", 0x90 + cc, condition_reads(cc)));
    add(forms, "cmov", fmt::format("0f {:02x} /r v {}", 0x40 + cc, condition_reads(cc)));
  }
}

}  // namespace

std::vector<Form> integer_forms() {
  std::vector<Form> forms;
  for (const FormLine& line : kLines) add(forms, line.name, std::string(line.text));
  add_alu(forms);
  add_shifts(forms);
  add_conditional(forms);
  return forms;
}

std::vector<Form> flow_forms() {
  constexpr FormLine kFlow[] = {
      {"call", "e8 x:S @branch"},    {"jmp", "e9 @branch"},
      {"jmp", "eb @branch"},         {"call", "ff /2 s x:S @branchreg"},
      {"jmp", "ff /4 s @branchreg"}, {"ret", "c3 x:S @return"},
      {"ret", "c2 iw x:S @return"},  {"loopne", "e0 x:c f:z @loop"},
      {"loope", "e1 x:c f:z @loop"}, {"loop", "e2 x:c @loop"},
      {"jrcxz", "e3 @loop"},
  };
  std::vector<Form> forms;
  for (const FormLine& line : kFlow) add(forms, line.name, std::string(line.text));
  for (int cc = 0; cc < 16; ++cc) {
    add(forms, "jcc", fmt::format("{:02x} @branch {}", 0x70 + cc, condition_reads(cc)));
    add(forms, "jcc", fmt::format("0f {:02x} @branch {}", 0x80 + cc, condition_reads(cc)));
  }
  return forms;
}

}  // namespace husk::cpu_diff
