// The command line as the verbs describe it: flags, options, words, and what is done then. The
// library that reads it (CLI11) is all headers, and slow to compile: it is known to
// command_line.cc alone.
//
// What flags and options are written to lives longer than the reading of the command line; verbs
// share it with their action.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace husk::cli {

// Returns the process's exit code.
using Action = std::function<int()>;

// A word of the command line that chooses what is done, and what may stand behind it. A handle:
// copies are the same verb.
class Verb {
 public:
  Verb(CLI::App& app, Action& chosen) : app_(&app), chosen_(&chosen) {}

  // A verb below this one; one of those below must be given then.
  [[nodiscard]] Verb verb(const std::string& name, const std::string& what);
  // The heading that it is listed under.
  Verb& group(const std::string& heading);

  // `names` as in "-t,--time". `to` keeps what it has when the flag is not given.
  Verb& flag(const std::string& names, bool& to, const std::string& what);
  // With a value, which must be one of T: std::string, std::optional of it, uint32_t or uint64_t;
  // a std::vector of std::string takes one value each time that the option is given.
  template <class T>
  Verb& option(const std::string& names, T& to, const std::string& what);
  Verb& choice(const std::string& names, std::string& to, const std::vector<std::string>& among,
               const std::string& what);
  // --format json|table
  Verb& format(std::string& to);
  // What must be there: an option, or, by a name without dashes that is for the help, a word; all
  // the words, at least one, for a vector.
  Verb& required(const std::string& name, std::string& to, const std::string& what);
  Verb& required(const std::string& name, std::vector<std::string>& to, const std::string& what);
  // All from the first word on that is not of a flag: a subject and a command, whose flags are its
  // own. "--" may stand before either.
  Verb& words(std::vector<std::string>& to);

  // What is done when this verb is the one on the command line.
  void run(Action action);

 private:
  CLI::App* app_;
  Action* chosen_;
};

// Reads the command line by what `describe` says of it, and does what was chosen. Returns the
// process's exit code: 0 after --help and --version, kRefused for what makes no sense.
int run_command_line(int argc, char** argv, const std::function<void(Verb)>& describe);

}  // namespace husk::cli
