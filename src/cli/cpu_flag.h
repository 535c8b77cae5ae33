// The flags of the verbs that make machines: --cpu, which processor the guest is shown, and
// --cpu-mode, how the built-in one works.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "husk/cpu_model.h"
#include "husk/error.h"

namespace husk::cli {

void add_cpu_flag(CLI::App& verb, std::string& text);
// kInvalidArgument for what is no model on this architecture, with those that are.
[[nodiscard]] Result<CpuModel> parse_cpu_flag(const std::string& text);

void add_cpu_mode_flag(CLI::App& verb, std::string& text);
// For the built-in CPU of this process, which is told by its environment; empty: as that is. Before
// any thread is started. kInvalidArgument for what is no mode.
[[nodiscard]] Result<void> apply_cpu_mode(const std::string& text);

}  // namespace husk::cli
