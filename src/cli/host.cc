#include "cli/host.h"

#include <unistd.h>

#include "base/log.h"
#include "base/try.h"
#include "cli/attend.h"
#include "cli/exit_codes.h"
#include "cli/hosted_machine.h"
#include "cli/progress.h"
#include "cli/report.h"

namespace husk::cli {
namespace {

// Where the command's output goes: to who started it, or into the machine's folder. The progress
// line leaves before the first byte of it.
runtime::ContainerOutput outputs(Progress& progress, HostedMachine& hosted, bool detach) {
  runtime::ContainerOutput output;
  const auto sink = [&, detach](registry::Stream stream, int fd) {
    return [&, detach, stream, fd](std::string_view text) {
      progress.stop();
      if (detach) return hosted.keep(stream, text);
      write_all(fd, text);
    };
  };
  output.out = sink(registry::Stream::kOut, STDOUT_FILENO);
  output.err = sink(registry::Stream::kError, STDERR_FILENO);
  output.serial = [](std::string_view line) {
    base::log(base::LogLevel::kDebug, "serial: {}", line);
  };
  output.state = [&progress](const lifecycle::VmState& state) {
    if (state.kind() == lifecycle::VmState::Kind::kStarting) progress.now("starting the machine");
    if (state.is_ready()) progress.stop();
    base::log(base::LogLevel::kDebug, "state: {}", state.to_string());
  };
  return output;
}

// What of this process's is the command's; nothing, when it is detached.
Attendance attendance(const runtime::Container& container, bool attached) {
  const runtime::ContainerRecord& record = container.record();
  return {.input = attached && record.input,
          .terminal = attached && record.terminal && ::isatty(STDIN_FILENO) != 0};
}

// `launch` is there for a detached machine.
Result<int> host_here(const Hosting& hosting, Launch* launch) {
  block_forwarded_signals();
  Progress progress(hosting.waiting_for);
  const auto hosted = HUSK_TRY(HostedMachine::create(hosting.record));
  const auto running =
      HUSK_TRY(hosting.start(hosted->name(), outputs(progress, *hosted, launch != nullptr)));
  HUSK_TRY(hosted->started(*running));
  if (launch != nullptr) {
    progress.stop();
    if (!launch->succeeded(hosted->id(), hosted->path_of(registry::kMessagesFile))) return kFailed;
  }
  const auto exit = attend(*running, attendance(*running, launch == nullptr));
  hosted->ended(exit);
  progress.stop();
  if (!exit) return std::unexpected(exit.error());
  if (!exit->reason.empty()) report(exit->reason);
  return exit->code;
}

int host_or_report(const Hosting& hosting, Launch* launch) {
  const auto code = host_here(hosting, launch);
  return code ? *code : report(code.error());
}

}  // namespace

int host(const Hosting& hosting) {
  if (!hosting.record.detached) return host_or_report(hosting, nullptr);
  return detached([&](Launch& launch) { return host_or_report(hosting, &launch); });
}

std::variant<Detached, int> host_detached(const Hosting& hosting) {
  return Detached::start([&](Launch& launch) { return host_or_report(hosting, &launch); });
}

}  // namespace husk::cli
