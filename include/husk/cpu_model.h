// The processor that a guest is shown, by name: what an operator chooses and a snapshot records.
// docs/cpu-models.md says what each of them has.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "husk/host.h"

namespace husk {

// The numbers are written into snapshots.
enum class CpuModel : uint8_t {
  kHost = 0,      // all that the backend has on this host; nothing is promised about another one
  kX86_64V2 = 1,  // the levels of the x86-64 psABI (section 3.1.1)
  kX86_64V3 = 2,
};

[[nodiscard]] constexpr std::string_view name(CpuModel model) {
  switch (model) {
    case CpuModel::kHost:
      return "host";
    case CpuModel::kX86_64V2:
      return "x86-64-v2";
    case CpuModel::kX86_64V3:
      return "x86-64-v3";
  }
  return "unknown";
}

inline constexpr std::array kCpuModels{CpuModel::kX86_64V2, CpuModel::kX86_64V3, CpuModel::kHost};

// Of an architecture, the least first.
[[nodiscard]] constexpr std::span<const CpuModel> cpu_models(host::CpuArch arch) {
  const std::span<const CpuModel> all(kCpuModels);
  return arch == host::CpuArch::kX86_64 ? all : all.last(1);
}

// Of any architecture; empty for no model's name.
[[nodiscard]] constexpr std::optional<CpuModel> parse_cpu_model(std::string_view text) {
  for (const CpuModel model : kCpuModels) {
    if (name(model) == text) return model;
  }
  return std::nullopt;
}

}  // namespace husk
