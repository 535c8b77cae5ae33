#include "cli/signal_name.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <csignal>
#include <optional>

namespace husk::cli {
namespace {

// signal(7), Linux on x86-64 and aarch64: by number.
constexpr std::array<std::string_view, 32> kNames{
    "",     "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
    "SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
    "TTOU", "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS"};
constexpr int kFirstRealTime = 34, kLastRealTime = 64;  // as the C library counts them

std::optional<int> number_in(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "RTMIN", "RTMIN+3", "RTMAX-1"
std::optional<int> real_time(std::string_view name) {
  const bool from_least = name.starts_with("RTMIN");
  if (!from_least && !name.starts_with("RTMAX")) return std::nullopt;
  name.remove_prefix(5);
  const int base = from_least ? kFirstRealTime : kLastRealTime;
  if (name.empty()) return base;
  if (name.front() != (from_least ? '+' : '-')) return std::nullopt;
  const auto step = number_in(name.substr(1));
  if (!step || *step < 0 || *step > kLastRealTime - kFirstRealTime) return std::nullopt;
  return from_least ? base + *step : base - *step;
}

}  // namespace

Result<int> parse_signal(std::string_view text) {
  if (text.empty()) return SIGTERM;
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string_view name = upper;
  if (const auto number = number_in(name); number && *number >= 1 && *number <= kHighestSignal)
    return *number;
  if (name.starts_with("SIG")) name.remove_prefix(3);
  const auto found = std::ranges::find(kNames, name);
  if (!name.empty() && found != kNames.end()) return static_cast<int>(found - kNames.begin());
  if (const auto number = real_time(name)) return *number;
  return fail(ErrorKind::kInvalidArgument, std::string(text), "is not a signal");
}

}  // namespace husk::cli
