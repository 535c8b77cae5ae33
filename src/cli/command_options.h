// What `run` and `exec` have in common: a subject, a command, and how the command is run. Their
// options, of two types, have these members by the same names.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "husk/error.h"

#include "cli/attend.h"
#include "cli/command_line.h"

namespace husk::cli {

template <class Options>
void add_command_flags(Verb& verb, Options& options, bool& detach) {
  verb.option("--env,-e", options.environment, "Set a variable: KEY=VALUE")
      .option("--workdir,-w", options.working_directory, "Working directory")
      .option("--user,-u", options.user, "User: name or uid, with :group")
      .flag("-i,--interactive", options.input, "Keep standard input open")
      .flag("-t,--tty", options.terminal, "Give the command a terminal")
      .flag("-d,--detach", detach, "Leave it running, without input or output here");
}

// What the flags leave to the environment.
template <class Options>
[[nodiscard]] Result<void> complete_command(Options& options, bool detach) {
  for (std::string& entry : options.environment) {
    if (entry.find('=') != std::string::npos) continue;
    const char* value =
        std::getenv(entry.c_str());  // as Docker: a name alone passes the host's value on
    entry += std::string("=") + (value == nullptr ? "" : value);
  }
  if (!options.terminal || detach) return {};
  if (::isatty(STDIN_FILENO) == 0)
    return fail(ErrorKind::kInvalidArgument, "-t", "standard input is not a terminal");
  const TerminalSize size = terminal_size();
  options.rows = size.rows;
  options.columns = size.columns;
  return {};
}

}  // namespace husk::cli
