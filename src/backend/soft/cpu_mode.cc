#include "backend/soft/cpu_mode.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace husk::soft {

namespace {

// With half of it a short command of a restored guest pays more for translations than it gets back.
constexpr int32_t kDefaultThreshold = 60;

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

}  // namespace

CpuModeChoice cpu_mode_choice() {
  CpuModeChoice choice{.translates = variable("HUSK_CPU_MODE") != "interp",
                       .threshold = kDefaultThreshold};
  const std::string_view after = variable("HUSK_JIT_AFTER");
  int32_t threshold = 0;
  const auto parsed = std::from_chars(after.data(), after.data() + after.size(), threshold);
  if (parsed.ec == std::errc{} && threshold >= 0) choice.threshold = threshold;
  return choice;
}

}  // namespace husk::soft
