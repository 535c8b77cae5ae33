#include "cli/hosted_machine.h"

#include <csignal>

#include "base/clock.h"
#include "base/log.h"
#include "base/try.h"
#include "cli/exit_codes.h"
#include "cli/signal_name.h"
#include "cli/snapshot/serve.h"

namespace husk::cli {

using api::Json;
using registry::State;

Result<std::unique_ptr<HostedMachine>> HostedMachine::create(registry::Record record) {
  auto registry = HUSK_TRY(registry::Registry::open_default());
  auto machine = HUSK_TRY(registry.create(std::move(record)));
  const bool detached = machine.record.detached;
  std::unique_ptr<HostedMachine> made(new HostedMachine(std::move(registry), std::move(machine)));
  if (detached)
    made->output_ = HUSK_TRY(registry::OutputWriter::create(made->path_of(registry::kOutputFile)));
  return made;
}

HostedMachine::~HostedMachine() {
  server_.reset();
  if (ended_) return;
  machine_.record.state = State::kExited;
  (void)machine_.folder.write(machine_.record, false);
  (void)registry_.remove(machine_);
}

template <class Change>
Result<void> HostedMachine::record(Change change) {
  const std::lock_guard lock(mutex_);
  change(machine_.record);
  return machine_.folder.write(machine_.record, machine_.record.detached);
}

State HostedMachine::state() {
  const std::lock_guard lock(mutex_);
  return machine_.record.state;
}

void HostedMachine::keep(registry::Stream stream, std::string_view text) {
  const auto kept = output_->append(stream, text, base::realtime_ns());
  if (!kept && !output_failed_)
    base::log(base::LogLevel::kError, "{}: output is lost", kept.error().message());
  output_failed_ = !kept;
}

Result<void> HostedMachine::started(runtime::Container& container) {
  HUSK_TRY(record([&](registry::Record& record) {
    record.state = State::kRunning;
    record.started_ns = base::realtime_ns();
    record.stop_signal = container.record().stop_signal;
    record.files = container.files();
  }));
  server_ = HUSK_TRY(control::Server::listen(path_of(registry::kControlSocket)));
  add_verbs(*server_, container);
  server_->start();
  return {};
}

// What a machine can be asked. A verb is a line here, and a handler.
void HostedMachine::add_verbs(control::Server& server, runtime::Container& container) {
  server.on("state", [this](const Json&) -> Result<Json> {
    return Json{{"state", registry::to_string(state())}};
  });
  server.on("signal", [&](const Json& request) { return signal(container, request); });
  server.on_slow("pause", [&](const Json&) { return pause(container); });
  server.on_slow("unpause", [&](const Json&) { return unpause(container); });
  server.on_slow(kSnapshotVerb,
                 [&](const Json& request) { return serve_snapshot(container, request); });
  server.on_slow("debug", [&](const Json& request) { return debug(container, request); });
  server.on_end("wait");
}

Result<Json> HostedMachine::pause(runtime::Container& container) {
  HUSK_TRY(container.pause());
  HUSK_TRY(record([](registry::Record& record) { record.state = State::kPaused; }));
  return Json::object();
}

Result<Json> HostedMachine::unpause(runtime::Container& container) {
  HUSK_TRY(container.resume());
  HUSK_TRY(record([](registry::Record& record) { record.state = State::kRunning; }));
  return Json::object();
}

// At a port of that number, or at a socket in the folder: then no address is told, for ours is good
// in this process alone.
Result<Json> HostedMachine::debug(runtime::Container& container, const Json& request) {
  const std::string port = HUSK_TRY(api::string_member(request, "port", "debug"));
  const std::string socket = path_of(registry::kDebuggerSocket);
  const std::string address =
      HUSK_TRY(container.open_debugger(port.empty() ? "unix:" + socket : port));
  return Json{{"address", address == socket ? "" : address}};
}

// As Docker: what is to end a machine wakes it.
Result<Json> HostedMachine::signal(runtime::Container& container, const Json& request) {
  const auto number = HUSK_TRY(api::size_member(request, "number", "signal"));
  if (!number || *number < 1 || *number > kHighestSignal)
    return fail(ErrorKind::kInvalidArgument, "signal", "is not a number from 1 to 64");
  const int signal = static_cast<int>(*number);
  if (signal == SIGKILL) {
    container.kill();
    return Json::object();
  }
  container.send_signal(signal);
  const bool to_end = parse_signal(container.record().stop_signal).value_or(SIGTERM) == signal;
  return to_end && state() == State::kPaused ? unpause(container) : Json::object();
}

void HostedMachine::forget() {
  const std::lock_guard lock(mutex_);
  machine_.record.remove = true;
}

void HostedMachine::ended(const Result<runtime::ContainerExit>& exit) {
  const int code = exit ? exit->code : kFailed;
  const std::string reason = exit ? exit->reason : exit.error().message();
  ended_ = true;
  const auto recorded = record([&](registry::Record& record) {
    record.state = State::kExited;
    record.finished_ns = base::realtime_ns();
    record.exit_code = code;
    record.reason = reason;
  });
  if (!recorded) base::log(base::LogLevel::kWarn, "{}", recorded.error().message());
  if (server_ != nullptr) server_->end({{"code", code}, {"reason", reason}});
  server_.reset();
  if (!machine_.record.remove) return;
  const auto removed = registry_.remove(machine_);
  if (!removed) base::log(base::LogLevel::kWarn, "{}", removed.error().message());
}

}  // namespace husk::cli
