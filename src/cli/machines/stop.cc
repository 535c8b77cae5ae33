// husk stop, kill, rm: how machines end, and go.
#include <algorithm>
#include <csignal>

#include "base/try.h"
#include "cli/machines/each.h"
#include "cli/report.h"
#include "cli/signal_name.h"

namespace husk::cli::machines {
namespace {

using registry::Machine;

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kPatienceNs = 10 * kSecondNs;  // with a process that is to end its machine

// Its process: invalid if it is gone, which is what was wanted.
base::Fd process_of(const Machine& machine) {
  const auto& owner = machine.record.owner;
  return machine.record.is_live() && owner ? registry::open_process(*owner) : base::Fd();
}

Result<void> signal(const Machine& machine, int number) {
  HUSK_TRY(ask(machine, {{"verb", "signal"}, {"number", number}}));
  return {};
}

// Asks its process to; one that does not answer, or does not end, is ended itself. A machine that
// is still being made has nobody to ask.
Result<void> end_now(const Machine& machine, const base::Fd& process) {
  (void)signal(machine, SIGKILL);
  const bool asked = machine.record.state != registry::State::kCreated;
  if (asked && registry::wait_for_end(process, kPatienceNs)) return {};
  registry::send_signal(process, SIGKILL);
  if (registry::wait_for_end(process, kPatienceNs)) return {};
  return fail(ErrorKind::kTimeout, label(machine.record), "its process does not end");
}

Result<std::string> stop_one(const Machine& machine, uint64_t seconds) {
  const base::Fd process = process_of(machine);
  if (!process.valid()) return "";
  const int number = parse_signal(machine.record.stop_signal).value_or(SIGTERM);
  const uint64_t limit = std::min<uint64_t>(seconds, ~0ULL / kSecondNs) * kSecondNs;
  if (signal(machine, number) && registry::wait_for_end(process, limit)) return "";
  HUSK_TRY(end_now(machine, process));
  return "";
}

Result<std::string> kill_one(const Machine& machine, int number) {
  HUSK_TRY(check_running(machine.record));
  if (number != SIGKILL) {
    HUSK_TRY(signal(machine, number));
    return "";
  }
  const base::Fd process = process_of(machine);
  if (process.valid()) HUSK_TRY(end_now(machine, process));
  return "";
}

Result<std::string> remove_one(const registry::Registry& registry, const Machine& machine,
                               bool force) {
  const base::Fd process = process_of(machine);
  if (force && process.valid()) HUSK_TRY(end_now(machine, process));
  HUSK_TRY(registry.remove(machine));
  return "";
}

}  // namespace

int stop(const Names& names, uint64_t seconds) {
  return for_each(names, [&](const auto&, const Machine& one) { return stop_one(one, seconds); });
}

int kill(const Names& names, const std::string& signal) {
  const auto number = parse_signal(signal);
  if (!number) return report(number.error());
  return for_each(names, [&](const auto&, const Machine& one) { return kill_one(one, *number); });
}

int rm(const Names& names, bool force) {
  return for_each(names, [&](const registry::Registry& registry, const Machine& one) {
    return remove_one(registry, one, force);
  });
}

}  // namespace husk::cli::machines
