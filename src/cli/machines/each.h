// For verbs that take machines' names: one after another, a line for each.
#pragma once

#include <functional>

#include "husk/error.h"

#include "api/json.h"
#include "cli/machines/commands.h"
#include "registry/registry.h"

namespace husk::cli::machines {

inline constexpr int kRefused = 1;  // Docker's

// Calls `act` for each; prints what it returns, or what was wrong and goes on.
int for_each(const Names& names,
             const std::function<Result<std::string>(const registry::Registry&,
                                                     const registry::Machine&)>& act);

// kState: it has ended, or has not begun.
[[nodiscard]] Result<void> check_running(const registry::Record& record);

// One request to its process, and its answer.
[[nodiscard]] Result<api::Json> ask(const registry::Machine& machine, const api::Json& request);

// As the user calls it.
[[nodiscard]] const std::string& label(const registry::Record& record);

}  // namespace husk::cli::machines
