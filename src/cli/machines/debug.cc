// husk debug: a debugger for a machine that runs.
#include <fmt/core.h>
#include <unistd.h>

#include <vector>

#include "base/try.h"
#include "cli/machines/each.h"
#include "cli/report.h"

namespace husk::cli::machines {
namespace {

// Where its process lets debuggers connect, as GDB calls the place.
Result<std::string> open_debugger(const DebugRequest& request) {
  const auto registry = HUSK_TRY(registry::Registry::open_default());
  const auto machine = HUSK_TRY(registry.find(request.name));
  HUSK_TRY(check_running(machine.record));
  if (request.port.find_first_not_of("0123456789") != std::string::npos)
    return fail(ErrorKind::kInvalidArgument, "--port", "must be 0 to 65535");
  const api::Json answer = HUSK_TRY(ask(machine, {{"verb", "debug"}, {"port", request.port}}));
  const std::string address = HUSK_TRY(api::string_member(answer, "address", "answer"));
  if (!address.empty()) return address;
  return machine.folder.path() + "/" + registry::kDebuggerSocket;
}

// Returns only if there is no GDB.
void become_gdb(const DebugRequest& request, const std::string& connect) {
  std::vector<const char*> words{"gdb", "-q"};
  if (!request.symbols.empty()) words.push_back(request.symbols.c_str());
  words.insert(words.end(), {"-ex", connect.c_str()});
  if (!request.batch.empty()) words.insert(words.end(), {"-batch", "-x", request.batch.c_str()});
  words.push_back(nullptr);
  ::execvp(words.front(), const_cast<char* const*>(words.data()));
}

}  // namespace

int debug(const DebugRequest& request) {
  const auto address = open_debugger(request);
  if (!address) {
    report(address.error());
    return kRefused;
  }
  const std::string connect = "target remote " + *address;
  const bool at_terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  if (!request.batch.empty() || at_terminal) become_gdb(request, connect);
  if (!request.batch.empty()) return report("gdb: cannot be run; Debian's package is called gdb");
  fmt::print("{}\n", connect);
  return 0;
}

}  // namespace husk::cli::machines
