// What `run` and `exec` have in common: a subject, a command, and how the command is run. Their
// options, of two types, have these members by the same names.
#pragma once

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "husk/error.h"

#include "cli/attend.h"

namespace husk::cli {

template <class Options>
void add_command_flags(CLI::App& verb, Options& options, bool& detach) {
  verb.prefix_command();
  verb.add_option("--env,-e", options.environment, "Set a variable: KEY=VALUE")
      ->allow_extra_args(false);
  verb.add_option("--workdir,-w", options.working_directory, "Working directory");
  verb.add_option("--user,-u", options.user, "User: name or uid, with :group");
  verb.add_flag("-i,--interactive", options.input, "Keep standard input open");
  verb.add_flag("-t,--tty", options.terminal, "Give the command a terminal");
  verb.add_flag("-d,--detach", detach, "Leave it running, without input or output here");
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

// The subject and the command, of a verb that was parsed; "--" may stand before either.
inline std::vector<std::string> words_of(const CLI::App& verb) {
  std::vector<std::string> words = verb.remaining();
  for (size_t i = 0; i < 2 && i < words.size(); ++i) {
    if (words[i] == "--") words.erase(words.begin() + static_cast<ptrdiff_t>(i));
  }
  return words;
}

}  // namespace husk::cli
