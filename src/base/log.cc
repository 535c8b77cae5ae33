#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <string>

namespace husk::base {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kWarn};

std::string_view prefix(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "husk: debug: ";
    case LogLevel::kInfo:
      return "husk: ";
    case LogLevel::kWarn:
      return "husk: warning: ";
    default:
      return "husk: error: ";
  }
}

}  // namespace

void set_log_level(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }

bool log_enabled(LogLevel level) { return level >= g_level.load(std::memory_order_relaxed); }

void log_line(LogLevel level, std::string_view text) {
  std::string line(prefix(level));
  line += text;
  line += '\n';
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace husk::base
