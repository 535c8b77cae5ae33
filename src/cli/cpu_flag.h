// The flag --cpu of the verbs that make machines: which processor the guest is shown.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "husk/cpu_model.h"
#include "husk/error.h"

namespace husk::cli {

void add_cpu_flag(CLI::App& verb, std::string& text);
// kInvalidArgument for what is no model on this architecture, with those that are.
[[nodiscard]] Result<CpuModel> parse_cpu_flag(const std::string& text);

}  // namespace husk::cli
