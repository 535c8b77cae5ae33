#include "cli/machines/duration.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <optional>

namespace husk::cli::machines {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
// Beyond it nanoseconds do not fit into 64 bits.
constexpr double kMostSeconds = 1.8e10;

// As many digits as there are, and a fraction; takes them off `text`.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || !(value >= 0) || value > kMostSeconds) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

uint64_t to_ns(double seconds) { return static_cast<uint64_t>(std::llround(seconds * 1e9)); }

std::optional<double> take_unit(std::string_view& text) {
  struct Unit {
    std::string_view name;
    double seconds;
  };
  for (const Unit& unit : {Unit{"ms", 1e-3}, Unit{"h", 3600}, Unit{"m", 60}, Unit{"s", 1}}) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return unit.seconds;
  }
  return std::nullopt;
}

// "1h30m", in seconds.
std::optional<double> parse_duration(std::string_view text) {
  double sum = 0;
  while (!text.empty()) {
    const auto number = take_number(text);
    const auto unit = number ? take_unit(text) : std::nullopt;
    if (!unit) return std::nullopt;
    sum += *number * *unit;
  }
  return sum > kMostSeconds ? std::nullopt : std::optional(sum);
}

// "Z", "+01:00", or nothing; in seconds.
std::optional<double> parse_offset(std::string_view text) {
  if (text.empty() || text == "Z") return 0;
  int hours = 0, minutes = 0, length = 0;
  char sign = 0;
  if (std::sscanf(std::string(text).c_str(), "%c%2d:%2d%n", &sign, &hours, &minutes, &length) !=
          3 ||
      static_cast<size_t>(length) != text.size() || (sign != '+' && sign != '-') || hours < 0 ||
      minutes < 0)
    return std::nullopt;
  const double seconds = hours * 3600 + minutes * 60;
  return sign == '-' ? -seconds : seconds;
}

// Seconds since the epoch, without the fraction, which is behind it.
std::optional<uint64_t> parse_date(const std::string& text) {
  std::tm date{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%d", &date);
  if (rest != nullptr && *rest == 'T') rest = ::strptime(rest, "T%H:%M:%S", &date);
  if (rest == nullptr) return std::nullopt;
  std::string_view left(rest);
  double fraction = 0;
  if (left.starts_with('.')) fraction = take_number(left).value_or(0);
  const auto offset = parse_offset(left);
  if (!offset) return std::nullopt;
  const double whole = static_cast<double>(::timegm(&date)) - *offset;
  if (whole < 0 || whole > kMostSeconds) return std::nullopt;
  return static_cast<uint64_t>(whole) * kSecondNs + to_ns(fraction);
}

}  // namespace

std::string roughly(uint64_t duration_ns) {
  const uint64_t seconds = duration_ns / kSecondNs;
  const uint64_t minutes = seconds / 60;
  const uint64_t hours = (minutes + 30) / 60;
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return fmt::format("{} seconds", seconds);
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return fmt::format("{} minutes", minutes);
  if (hours == 1) return "About an hour";
  if (hours < 48) return fmt::format("{} hours", hours);
  if (hours < 24 * 7 * 2) return fmt::format("{} days", hours / 24);
  if (hours < 24 * 30 * 2) return fmt::format("{} weeks", hours / 24 / 7);
  if (hours < 24 * 365 * 2) return fmt::format("{} months", hours / 24 / 30);
  return fmt::format("{} years", hours / 24 / 365);
}

std::string timestamp(uint64_t time_ns) {
  const auto seconds = static_cast<std::time_t>(time_ns / kSecondNs);
  std::tm date{};
  ::gmtime_r(&seconds, &date);
  std::array<char, 32> text;
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &date);
  return fmt::format("{}.{:09}Z", std::string_view(text.data(), length), time_ns % kSecondNs);
}

Result<uint64_t> parse_moment(std::string_view text, uint64_t now_ns) {
  if (const auto date = parse_date(std::string(text))) return *date;
  std::string_view rest = text;
  if (const auto seconds = take_number(rest); seconds && rest.empty()) return to_ns(*seconds);
  if (const auto ago = text.empty() ? std::nullopt : parse_duration(text))
    return now_ns - std::min(now_ns, to_ns(*ago));
  return fail(ErrorKind::kInvalidArgument, std::string(text),
              "is not a time: such as 2026-11-21T14:35:18Z, or 10m ago as 10m");
}

}  // namespace husk::cli::machines
