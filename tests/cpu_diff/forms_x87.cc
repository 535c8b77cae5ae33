// The forms of x87 instructions (Intel SDM vol. 2, tables ): the memory forms one by
// one, for each touches another number of bytes, and the register forms by their ModRM byte.
#include <fmt/format.h>

#include "cpu_diff/form.h"

namespace husk::cpu_diff {
namespace {

constexpr FormLine kMemory[] = {
    {"fld", "d9 /0 m m32"},
    {"fst", "d9 /2 m m32"},
    {"fstp", "d9 /3 m m32"},
    {"fldenv", "d9 /4 m m224 @environment"},
    {"fldcw", "d9 /5 m m16 @control"},
    {"fnstenv", "d9 /6 m m224 @fnstenv"},
    {"fnstcw", "d9 /7 m m16"},
    {"fild", "db /0 m m32"},
    {"fisttp", "db /1 m m32"},
    {"fist", "db /2 m m32"},
    {"fistp", "db /3 m m32"},
    {"fld", "db /5 m m80"},
    {"fstp", "db /7 m m80"},
    {"fld", "dd /0 m m64"},
    {"fisttp", "dd /1 m m64"},
    {"fst", "dd /2 m m64"},
    {"fstp", "dd /3 m m64"},
    {"frstor", "dd /4 m m864 @environment"},
    {"fnsave", "dd /6 m m864 @fnsave"},
    {"fnstsw", "dd /7 m m16"},
    {"fild", "df /0 m m16"},
    {"fisttp", "df /1 m m16"},
    {"fist", "df /2 m m16"},
    {"fistp", "df /3 m m16"},
    {"fbld", "df /4 m m80"},
    {"fild", "df /5 m m64"},
    {"fbstp", "df /6 m m80"},
    {"fistp", "df /7 m m64"},
    {"fwait", "9b"},
};

void add(std::vector<Form>& forms, std::string_view name, const std::string& text) {
  for (Form& form : parse_form({name, text})) forms.push_back(std::move(form));
}

void add_arithmetic(std::vector<Form>& forms) {
  struct Escape {
    int opcode, bits;
  };
  constexpr Escape kEscapes[] = {{0xd8, 32}, {0xda, 32}, {0xdc, 64}, {0xde, 16}};
  constexpr std::string_view kNames[8] = {"fadd", "fmul",  "fcom", "fcomp",
                                          "fsub", "fsubr", "fdiv", "fdivr"};
  for (const Escape escape : kEscapes) {
    for (int row = 0; row < 8; ++row)
      add(forms, kNames[row], fmt::format("{:02x} /{} m m{}", escape.opcode, row, escape.bits));
  }
}

// Register forms that exist, as ranges of the ModRM byte.
struct Range {
  int opcode, first, last;
  std::string_view flags;  // in the notation of forms
};
constexpr Range kRegister[] = {
    {0xd8, 0xc0, 0xff, ""},       {0xd9, 0xc0, 0xd0, ""},          {0xd9, 0xe0, 0xe1, ""},
    {0xd9, 0xe4, 0xe5, ""},       {0xd9, 0xe8, 0xee, ""},          {0xd9, 0xf0, 0xff, ""},
    {0xda, 0xc0, 0xdf, " f:czp"}, {0xda, 0xe9, 0xe9, ""},          {0xdb, 0xc0, 0xdf, " f:czp"},
    {0xdb, 0xe2, 0xe3, ""},       {0xdb, 0xe8, 0xf7, " d:oszapc"}, {0xdc, 0xc0, 0xcf, ""},
    {0xdc, 0xe0, 0xff, ""},       {0xdd, 0xc0, 0xc7, ""},          {0xdd, 0xd0, 0xef, ""},
    {0xde, 0xc0, 0xcf, ""},       {0xde, 0xd9, 0xd9, ""},          {0xde, 0xe0, 0xff, ""},
    {0xdf, 0xe0, 0xe0, " x:a"},   {0xdf, 0xe8, 0xf7, " d:oszapc"},
};

}  // namespace

std::vector<Form> x87_forms() {
  std::vector<Form> forms;
  for (const FormLine& line : kMemory) add(forms, line.name, std::string(line.text));
  add_arithmetic(forms);
  for (const Range& range : kRegister) {
    for (int modrm = range.first; modrm <= range.last; ++modrm)
      add(forms, "x87", fmt::format("{:02x} {:02x}{}", range.opcode, modrm, range.flags));
  }
  return forms;
}

}  // namespace husk::cpu_diff
