#include "cli/machines/each.h"

#include <fmt/core.h>

#include "cli/report.h"
#include "control/client.h"

namespace husk::cli::machines {

int for_each(const Names& names,
             const std::function<Result<std::string>(const registry::Registry&,
                                                     const registry::Machine&)>& act) {
  const auto registry = registry::Registry::open_default();
  if (!registry) return report(registry.error());
  int code = 0;
  for (const std::string& name : names) {
    const auto machine = registry->find(name);
    const Result<std::string> said =
        machine ? act(*registry, *machine) : std::unexpected(machine.error());
    if (said) {
      fmt::print("{}\n", said->empty() ? name : *said);
      std::fflush(stdout);  // the next one may take its time
    } else {
      report(said.error());
      code = kRefused;
    }
  }
  return code;
}

Result<void> check_running(const registry::Record& record) {
  using registry::State;
  if (record.state == State::kRunning || record.state == State::kPaused) return {};
  return fail(ErrorKind::kState, label(record), "is not running");
}

Result<api::Json> ask(const registry::Machine& machine, const api::Json& request) {
  return control::ask(machine.folder.at(registry::kControlSocket), request, label(machine.record));
}

const std::string& label(const registry::Record& record) { return record.name; }

}  // namespace husk::cli::machines
