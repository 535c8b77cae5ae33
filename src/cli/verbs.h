// The verbs: each adds its options to the command line, and is run when it was asked for.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace husk::cli {

// Returns the process's exit code.
using Action = std::function<int()>;

// `chosen` is set to the verb's action when it is the one on the command line.
void add_run(CLI::App& app, Action& chosen);
void add_bake(CLI::App& app, Action& chosen);
void add_restore(CLI::App& app, Action& chosen);
void add_fork(CLI::App& app, Action& chosen);
void add_boot(CLI::App& app, Action& chosen);
void add_machines(CLI::App& app, Action& chosen);  // ps, logs, stop, ...
void add_snapshot(CLI::App& app, Action& chosen);
void add_doctor(CLI::App& app, Action& chosen);

}  // namespace husk::cli
