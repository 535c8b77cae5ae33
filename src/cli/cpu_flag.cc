#include "cli/cpu_flag.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "husk/host.h"

namespace husk::cli {
namespace {

constexpr const char* kCpuMode = "HUSK_CPU_MODE";

std::string known_models() {
  std::string list;
  for (const CpuModel model : cpu_models(host::native_arch()))
    list += (list.empty() ? "" : ", ") + std::string(name(model));
  return list;
}

}  // namespace

void add_cpu_flag(CLI::App& verb, std::string& text) {
  verb.add_option("--cpu", text, "Processor that the guest is shown: " + known_models())
      ->capture_default_str();
}

Result<CpuModel> parse_cpu_flag(const std::string& text) {
  const auto model = parse_cpu_model(text);
  const auto known = cpu_models(host::native_arch());
  if (model && std::ranges::find(known, *model) != known.end()) return *model;
  return fail(ErrorKind::kInvalidArgument, "--cpu",
              fmt::format("{} has no {}; it has {}", host::name(host::native_arch()), text,
                          known_models()));
}

void add_cpu_mode_flag(CLI::App& verb, std::string& text) {
  verb.add_option("--cpu-mode", text,
                  "How the built-in CPU works: jit translates hot code, interp does not")
      ->envname(kCpuMode);
}

Result<void> apply_cpu_mode(const std::string& text) {
  if (!text.empty() && text != "jit" && text != "interp")
    return fail(ErrorKind::kInvalidArgument, "--cpu-mode",
                fmt::format("{} is no mode; there are: jit, interp", text));
  if (!text.empty()) ::setenv(kCpuMode, text.c_str(), 1);
  return {};
}

}  // namespace husk::cli
