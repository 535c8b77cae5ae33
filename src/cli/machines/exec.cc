// husk exec: a further command in a machine that runs.
#include "runtime/exec.h"

#include <unistd.h>

#include "base/try.h"
#include "cli/attend.h"
#include "cli/command_options.h"
#include "cli/detach.h"
#include "cli/machines/each.h"
#include "cli/report.h"

namespace husk::cli::machines {
namespace {

using registry::Machine;

Result<Machine> find_running(const std::string& name) {
  const auto registry = HUSK_TRY(registry::Registry::open_default());
  Machine machine = HUSK_TRY(registry.find(name));
  HUSK_TRY(check_running(machine.record));
  if (machine.record.state == registry::State::kPaused)
    return fail(ErrorKind::kState, label(machine.record), "is paused: unpause it first");
  return machine;
}

runtime::CommandOutput outputs(bool detach) {
  const auto to = [detach](int fd) {
    return [detach, fd](std::string_view text) {
      if (!detach) write_all(fd, text);
    };
  };
  return {.out = to(STDOUT_FILENO), .err = to(STDERR_FILENO)};
}

Result<int> run_in(const Machine& machine, const ExecRequest& request, Launch* launch) {
  const std::string& own = machine.record.vsock;
  const std::string vsock = own.empty() ? machine.folder.at(registry::kVsockSocket) : own;
  const bool attached = launch == nullptr;
  const auto command = HUSK_TRY(runtime::exec(vsock, request.command, outputs(!attached)));
  if (launch != nullptr) {
    launch->outlive();
    if (!launch->succeeded("", "/dev/null")) return kRefused;
  }
  const auto exit = HUSK_TRY(attend(*command, {.input = attached && request.command.input,
                                               .terminal = attached && request.command.terminal}));
  if (!exit.reason.empty()) report(exit.reason);
  return exit.code;
}

int find_and_run(const ExecRequest& request, Launch* launch) {
  block_forwarded_signals();
  const auto machine = find_running(request.name);
  if (!machine) {
    report(machine.error());
    return kRefused;
  }
  const auto code = run_in(*machine, request, launch);
  return code ? *code : report(code.error());
}

}  // namespace

int exec(ExecRequest& request) {
  if (const auto complete = complete_command(request.command, request.detach); !complete)
    return report(complete.error());
  if (!request.detach) return find_and_run(request, nullptr);
  return detached([&](Launch& launch) { return find_and_run(request, &launch); });
}

}  // namespace husk::cli::machines
