// The process's log: one line each on stderr, filtered by level. Not for the vCPU's hot path.
#pragma once

#include <fmt/core.h>

#include <string_view>

namespace husk::base {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kSilent };

void set_log_level(LogLevel level);  // default kWarn; thread-safe
[[nodiscard]] bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view text);  // thread-safe, one write(2) per line

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) log_line(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace husk::base
