#include "base/size.h"

#include <fmt/core.h>

#include <charconv>

#include "base/checked.h"

namespace husk::base {
namespace {

int shift_of(char unit) {
  switch (unit) {
    case 'b':
    case 'B':
      return 0;
    case 'k':
    case 'K':
      return 10;
    case 'm':
    case 'M':
      return 20;
    case 'g':
    case 'G':
      return 30;
    default:
      return -1;
  }
}

}  // namespace

Result<uint64_t> parse_size(const std::string& flag, const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  const int shift = unit.empty() ? 0 : unit.size() == 1 ? shift_of(unit[0]) : -1;
  const auto size = shift < 0 ? std::nullopt : checked_mul(number, uint64_t{1} << shift);
  if (error != std::errc{} || !size)
    return fail(ErrorKind::kInvalidArgument, flag,
                fmt::format("\"{}\" is not a size such as 512M", text));
  return *size;
}

}  // namespace husk::base
