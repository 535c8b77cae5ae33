// Encodings that are #UD in 64-bit mode whatever the processor: no instructions, or not with these
// operands. Reserved ones are left out where processors fetch more bytes before they refuse them
// than any table says.
#include "cpu_diff/form.h"

namespace husk::cpu_diff {
namespace {

// clang-format off
constexpr std::string_view kUndefined[] = {
    "06", "07", "0e", "16", "17", "1e", "1f", "27", "2f", "37", "3f", "60", "61", "82 /0 ib", "9a",
    "ce", "d4 ib", "d5 ib", "d6", "ea", "0f 04", "0f 0a", "0f 0c", "0f 0e", "0f 24 c0", "0f 25 c0",
    "0f 26 c0", "0f 27 c0", "0f 36", "0f ff /r", "fe /2", "fe /3", "fe /4", "fe /5", "fe /6",
    "fe /7", "ff /7", "ff /3 r", "ff /5 r", "8f /1 r", "c6 /1 ib m", "c7 /1 iz v m", "0f ba /0 ib",
    "0f ba /1 ib", "0f ba /2 ib", "0f ba /3 ib", "0f c7 /1 r", "0f c7 /2 m", "8c /6", "8c /7",
    "8d /r r", "0f 13 /r r", "0f 17 /r r", "0f 2b /r r", "0f e7 /r r", "0f c3 /r r",
    "f2 0f f0 /r r", "0f ae /2 r", "0f ae /3 r", "0f 71 /0 ib r", "0f 72 /1 ib r", "0f 73 /4 ib r",
    "0f 71 /2 ib m", "0f b8 /r", "0f 38 0c /r", "0f 38 0f /r", "0f 38 11 /r", "0f 38 26 /r",
    "0f 38 3a /r", "0f 38 ff /r", "0f 3a 00 /r ib", "0f 3a 08 /r ib", "0f 3a 1f /r ib",
    "0f 3a 60 /r ib", "0f 38 10 /r", "0f 38 20 /r", "66 0f 38 12 /r", "0f d0 /r", "0f 7c /r",
    "f3 0f 7c /r", "0f e6 /r", "0f d6 /r", "0f 6c /r", "0f f7 /r m", "0f 50 /r m", "0f c5 /r ib m",
    "d9 d1", "d9 e2", "d9 e6", "d9 ef", "da e0", "da e8", "db e0", "db e5", "db f8", "de d8",
    "d9 /1 m", "db /4 m", "db /6 m", "dd /5 m",
};
// clang-format on

}  // namespace

std::vector<Form> undefined_forms() {
  std::vector<Form> forms;
  for (const std::string_view text : kUndefined) {
    for (Form& form : parse_form({"undefined", text})) {
      form.system = true;
      forms.push_back(std::move(form));
    }
  }
  return forms;
}

}  // namespace husk::cpu_diff
