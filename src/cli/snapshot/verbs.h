// The verbs below `husk snapshot`, a file each, and what their options have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "husk/error.h"

#include "cli/verbs.h"

namespace husk::cli {

void add_snapshot_create(CLI::App& app, Action& chosen);
void add_snapshot_ls(CLI::App& app, Action& chosen);
void add_snapshot_tree(CLI::App& app, Action& chosen);
void add_snapshot_inspect(CLI::App& app, Action& chosen);
void add_snapshot_rm(CLI::App& app, Action& chosen);
void add_snapshot_flatten(CLI::App& app, Action& chosen);
void add_snapshot_verify(CLI::App& app, Action& chosen);

// --format json|table
void add_format(CLI::App& verb, std::string& format);
// The exit code of what a verb came to; an error is reported.
[[nodiscard]] int finish(const Result<void>& result);

}  // namespace husk::cli
