// Small text files of the kernel's (procfs, sysfs, cgroupfs) and the numbers in them.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace husk::api {

// The file's text, at most 1 MiB of it; empty when it cannot be read.
[[nodiscard]] std::optional<std::string> read_text(const std::string& path);

[[nodiscard]] std::string_view trim(std::string_view text);  // of white space at both ends

// The lines without their newlines; views into `text`.
[[nodiscard]] std::vector<std::string_view> lines(std::string_view text);

// The whole of `text`, in decimal, and within T; white space around it is allowed.
template <std::integral T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text) {
  text = trim(text);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace husk::api
