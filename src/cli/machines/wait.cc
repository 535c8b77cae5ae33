// husk wait, pause, unpause: what is asked of a machine's process and answered in a line.
#include "base/try.h"
#include "cli/machines/each.h"
#include "control/client.h"

namespace husk::cli::machines {
namespace {

using registry::Machine;

Result<std::string> recorded_code(const registry::Record& record) {
  if (record.state == registry::State::kExited) return std::to_string(record.exit_code);
  return fail(ErrorKind::kState, label(record),
              record.state == registry::State::kDead ? record.reason : "has not ended");
}

// Its process tells; one that is gone has left a record, or none at all.
Result<std::string> wait_for_one(const registry::Registry& registry, const Machine& machine) {
  if (!machine.record.is_live()) return recorded_code(machine.record);
  const auto answer = control::ask(machine.folder.at(registry::kControlSocket), {{"verb", "wait"}},
                                   label(machine.record), std::nullopt);
  if (answer)
    return std::to_string(HUSK_TRY(api::size_member(*answer, "code", "answer")).value_or(0));
  const base::Fd process = registry::open_process(*machine.record.owner);
  if (process.valid()) registry::wait_for_end(process);
  return recorded_code(HUSK_TRY(registry.find(machine.record.id)).record);
}

int ask_each(const Names& names, const char* verb) {
  return for_each(names, [&](const auto&, const Machine& one) -> Result<std::string> {
    HUSK_TRY(check_running(one.record));
    HUSK_TRY(ask(one, {{"verb", verb}}));
    return "";
  });
}

}  // namespace

int wait(const Names& names) { return for_each(names, wait_for_one); }
int pause(const Names& names) { return ask_each(names, "pause"); }
int unpause(const Names& names) { return ask_each(names, "unpause"); }

}  // namespace husk::cli::machines
