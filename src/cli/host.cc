#include "cli/host.h"

#include <unistd.h>

#include <atomic>

#include "base/log.h"
#include "base/try.h"
#include "cli/attend.h"
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

// Lets the process that was started go, once the command runs and its machine can be asked. Where
// neither is the matter, for a machine in the foreground, it does nothing.
class Departure {
 public:
  explicit Departure(Launch* launch) : launch_(launch) {}

  // The first call does nothing, and there may be no container yet. Any thread.
  void one_of_two(const HostedMachine& hosted, Progress& progress,
                  const std::unique_ptr<runtime::Container>& container) {
    if (launch_ == nullptr || ++arrived_ != 2) return;
    progress.stop();
    done_ = launch_->succeeded(hosted.id() + "\n", hosted.path_of(registry::kMessagesFile));
    if (!done_) container->kill();
  }
  [[nodiscard]] bool done() const { return launch_ == nullptr || done_; }

 private:
  Launch* launch_;
  std::atomic<int> arrived_{0};
  std::atomic<bool> done_{false};
};

// `launch` is there for a detached machine.
Result<int> host_here(const Hosting& hosting, Launch* launch) {
  block_forwarded_signals();
  Progress progress(hosting.waiting_for);
  const auto hosted = HUSK_TRY(HostedMachine::create(hosting.record));
  Departure departure(launch);
  std::unique_ptr<runtime::Container> running;
  auto output = outputs(progress, *hosted, hosting.record.detached);
  output.started = [&] { departure.one_of_two(*hosted, progress, running); };
  running = HUSK_TRY(hosting.start(*hosted, std::move(output)));
  HUSK_TRY(hosted->started(*running));
  if (launch != nullptr) launch->outlive();
  departure.one_of_two(*hosted, progress, running);
  const auto exit = attend(*running, attendance(*running, !hosting.record.detached));
  if (!departure.done()) hosted->forget();
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
  return Detached::start([&](Launch& launch) { return host_or_report(hosting, &launch); },
                         hosting.descriptors);
}

}  // namespace husk::cli
