#include "runtime/container.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "husk/mapping.h"

#include "agent/host/client.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/held_file.h"
#include "base/log.h"
#include "base/phases.h"
#include "base/random.h"
#include "base/try.h"
#include "runtime/capture.h"
#include "runtime/container_command.h"
#include "runtime/container_machine.h"
#include "runtime/container_plan.h"
#include "runtime/guest_names.h"
#include "runtime/hypervisor.h"
#include "runtime/machine_snapshot.h"
#include "runtime/managed_machine.h"
#include "runtime/serial_watch.h"
#include "runtime/warm_start.h"
#include "snapshot/restore.h"

namespace husk::runtime {
namespace {

constexpr const char* kGuestAddress = "127.0.0.1";  // its only network is its loopback

class RunningContainer : public Container {
 public:
  explicit RunningContainer(ContainerOutput output)
      : output_(std::move(output)),
        serial_([this](std::string_view line) { on_serial_line(line); },
                [this](std::string_view address) {
                  ready(address);
                  report_state();
                }) {}
  ~RunningContainer() override {
    if (machine_ != nullptr) machine_->halt();
  }

  // With its command, or to wait for one.
  Result<void> begin(const ContainerOptions& options, bool with_command) {
    base::end_phase("record");
    PlannedContainer planned = HUSK_TRY(plan_container(options));
    record_ = std::move(planned.record);
    image_ = std::move(planned.image);
    root_ = std::move(planned.root);
    if (with_command) request_ = HUSK_TRY(make_request(options));
    has_command_ = with_command;
    HUSK_TRY(build(planned.plan, {}));
    base::end_phase("machine");
    const auto started = options.cold ? boot(planned.plan) : go_on(planned.plan, options.baked);
    report_state();
    return started;
  }

  Result<void> run(const ContainerOptions& command) override {
    if (has_command_)
      return fail(ErrorKind::kState, record_.config.name, "it was given its command already");
    agent::RunRequest request = HUSK_TRY(make_request(command));
    has_command_ = true;
    request.realtime_ns = base::realtime_ns();
    client_->run(request);
    return {};
  }

  // The guest is told the present as soon as it can be: over the first connection.
  Result<void> begin_from(const RestoreOptions& options) {
    const auto opened = options.chain != nullptr ? options.chain : HUSK_TRY(open(options.from));
    const snapshot::Chain& chain = *opened;
    snapshot::Contents contents = chain.tip().contents();
    record_ = HUSK_TRY(get_record(contents, options.from.text()));
    root_ = HUSK_TRY(base::hold_file(record_.config.root_disk->string(), "root image"));
    if (!options.backend.empty()) record_.backend = HUSK_TRY(resolve_backend(options.backend));
    record_.config.name = options.name;
    HUSK_TRY(record_.config.validate());
    agent::Position position = HUSK_TRY(take_position(contents));
    HUSK_TRY(build({record_.backend, record_.config, {}, record_.kernel_irqchip, options.vsock},
                   std::move(position)));
    HUSK_TRY(machine_->restore_devices(contents.machine.devices));
    const MachineState state = HUSK_TRY(from_contents(contents));
    auto memory = HUSK_TRY(snapshot::restore_memory(chain));
    MachineExtras extras;
    extras.serial_output = &serial_;
    extras.track_writes = !options.transient;
    HUSK_TRY(machine_->set_extras(std::move(extras)));
    if (!options.transient) capturer_->set_last(link_of(options.from, chain.tip().id()));
    present_ = {0, HUSK_TRY(base::random_bytes(kEntropyBytes)), options.hostname,
                HUSK_TRY(resolve_machine_id(options.machine_id))};
    HUSK_TRY(machine_->start_from(state, std::move(memory)));
    ready(kGuestAddress);
    if (output_.started) output_.started();  // it had been
    if (options.rows != 0) resize(options.rows, options.columns);
    report_state();
    return {};
  }

  static Result<std::shared_ptr<const snapshot::Chain>> open(const snapshot::Location& from) {
    return std::make_shared<const snapshot::Chain>(HUSK_TRY(from.open_chain()));
  }

  Result<CaptureReport> capture(const CaptureRequest& request) override {
    if (!client_->started() || client_->result().finished)
      return fail(ErrorKind::kState, record_.config.name, "its command does not run");
    return capturer_->capture(request, [this] { return describe_now(); });
  }

  size_t send_input(std::span<const std::byte> data) override { return client_->send_input(data); }
  void close_input() override { client_->close_input(); }
  void resize(uint32_t rows, uint32_t columns) override {
    client_->send_window_size(rows, columns);
  }
  const ContainerRecord& record() const override { return record_; }
  std::vector<std::string> files() const override {
    std::vector<std::string> files{record_.config.root_disk->string()};
    if (!warm_path_.empty()) files.push_back(warm_path_);
    return files;
  }

  void send_signal(int number) override {
    if (client_->started()) return client_->send_signal(number);
    end_by(number);
  }
  void kill() override { end_by(SIGKILL); }
  Result<void> pause() override { return changed(machine_->pause()); }
  Result<void> resume() override { return changed(machine_->resume()); }
  Result<std::string> open_debugger(const std::string& where) override {
    return machine_->open_debugger(where);
  }

  Result<std::unique_ptr<RunningCommand>> exec(const ExecOptions& options,
                                               CommandOutput output) override {
    return exec_over(HUSK_TRY(machine_->connect_vsock(agent::kPort)), options, std::move(output));
  }

  Result<ContainerExit> wait() override {
    machine_->wait();
    client_->drain();
    base::end_phase("stop");
    const auto exit = outcome();
    if (!exit) failure_ = exit.error().why;
    report_state();
    return exit;
  }

 private:
  [[nodiscard]] Result<ContainerExit> outcome() {
    const agent::RunResult result = client_->result();
    if (result.failed) return fail(ErrorKind::kBackend, "container", result.reason);
    if (result.finished) return ContainerExit{result.code, result.reason};
    if (ended_by_ != 0) return ContainerExit{128 + ended_by_, {}};
    if (!serial_.panic().empty())
      return fail(ErrorKind::kBackend, "guest kernel panic", serial_.panic());
    if (!result.reason.empty()) return fail(ErrorKind::kBackend, "guest", result.reason);
    if (machine_->end().reason() == EndReason::kStopped)
      return ContainerExit{128 + SIGKILL, "ended by a debugger"};
    return fail(ErrorKind::kBackend, "guest", "it ended without saying how the command did");
  }

  Result<void> boot(const ContainerPlan& plan) {
    return boot_container_machine(plan, made_, serial_);
  }

  Result<agent::RunRequest> make_request(const ContainerOptions& command) {
    agent::RunRequest request = HUSK_TRY(request_for(command, image_));
    request.hostname = !command.hostname.empty() ? command.hostname
                       : !command.name.empty()   ? command.name
                                                 : record_.config.name;
    request.machine_id = HUSK_TRY(resolve_machine_id(command.machine_id));
    request.entropy = HUSK_TRY(base::random_bytes(kEntropyBytes));
    return request;
  }

  Result<void> build(const ContainerPlan& plan, agent::Position position) {
    made_ = HUSK_TRY(build_container_machine(plan, serial_));
    machine_ = &made_.machine();
    capturer_ = std::make_unique<Capturer>(*machine_);
    client_ = std::make_unique<agent::Client>(
        agent::SessionKind::kMain, [this](const base::Fd& giving_up) { return connect(giving_up); },
        agent::ClientEvents{output_.out, output_.err, [this] { started(); },
                            [this] { finished(); }},
        std::move(position));
    report_state();
    return {};
  }

  // On the client's thread.
  Result<base::Fd> connect(const base::Fd& giving_up) {
    auto connection = machine_->connect_vsock(agent::kPort, {.giving_up = giving_up.get()});
    if (!connection) return connection;
    base::end_phase("connect");
    if (present_) {
      present_->realtime_ns = base::realtime_ns();
      client_->tell(*std::exchange(present_, std::nullopt));
    }
    if (request_) {
      request_->realtime_ns = base::realtime_ns();
      client_->run(*std::exchange(request_, std::nullopt));
    }
    return connection;
  }

  // While the machine is paused: all of it but memory, and how far its agent and we are.
  Result<snapshot::Contents> describe_now() {
    snapshot::Contents contents = to_contents(HUSK_TRY(machine_->capture()));
    contents.machine.devices = HUSK_TRY(machine_->snapshot_devices());
    put_position(client_->position(), contents);
    HUSK_TRY(put_record(record_, contents));
    return contents;
  }

  // From what was baked, else from the base snapshot, where there can be one.
  Result<void> go_on(const ContainerPlan& plan, bool baked) {
    std::optional<WarmStart> warm = baked ? baked_start(plan) : std::nullopt;
    if (!warm) {
      auto base = warm_start(plan);
      if (!base) {
        base::log(base::LogLevel::kWarn, "{}; the machine boots instead", base.error().message());
        return boot(plan);
      }
      warm = std::move(*base);
    }
    base::end_phase("base");
    warm_ = std::move(warm->held);
    warm_path_ = std::move(warm->path);
    HUSK_TRY(machine_->start_from(warm->state, std::move(warm->memory)));
    base::end_phase("restore");
    report_state();
    ready(kGuestAddress);  // as the agent had said before the snapshot
    return {};
  }

  // On a vCPU's thread.
  void on_serial_line(std::string_view line) {
    if (output_.serial) output_.serial(line);
  }

  // The agent listens.
  void ready(std::string_view address) {
    client_->begin();
    const std::lock_guard lock(report_mutex_);
    ready_ip_ = address;
  }

  void end_by(int signal) {
    ended_by_ = signal;
    machine_->end().reach(EndReason::kStopped, 0);
  }

  Result<void> changed(Result<void> result) {
    report_state();
    return result;
  }

  void report_state() {
    const std::lock_guard lock(report_mutex_);
    if (!output_.state) return;
    const auto state = failure_ ? machine::VmState::kError : machine_->state();
    output_.state(mapping::to_lifecycle(state, {ready_ip_, failure_}));
  }

  // On the client's thread. The agent has written everything back; how the guest would power itself
  // off is of no interest to anybody.
  void started() {
    base::end_phase("start");
    if (output_.started) output_.started();
  }
  void finished() {
    base::end_phase("command");
    machine_->end().reach(EndReason::kStopped, 0);
  }

  ContainerOutput output_;
  base::Fd root_, warm_;  // hold the files of the cache that the machine goes by
  std::string warm_path_;
  ContainerRecord record_;
  std::mutex report_mutex_;
  std::optional<std::string> ready_ip_, failure_;
  SerialWatch serial_;
  std::atomic<int> ended_by_{0};  // a signal that the command was not there to take
  ContainerMachine made_;
  ManagedMachine* machine_ = nullptr;
  std::unique_ptr<Capturer> capturer_;
  // What the guest is told with the first connection: of a machine that was restored, of a new one.
  std::optional<agent::Moment> present_;
  std::optional<agent::RunRequest> request_;
  image::ImageConfig image_;
  bool has_command_ = true;
  std::unique_ptr<agent::Client> client_;  // goes before the machine, which its thread looks at
};

}  // namespace

Result<std::unique_ptr<Container>> Container::start(const ContainerOptions& options,
                                                    ContainerOutput output) {
  auto container = std::make_unique<RunningContainer>(std::move(output));
  HUSK_TRY(container->begin(options, true));
  return container;
}

Result<std::unique_ptr<Container>> Container::ready(const ContainerOptions& options,
                                                    ContainerOutput output) {
  auto container = std::make_unique<RunningContainer>(std::move(output));
  HUSK_TRY(container->begin(options, false));
  return container;
}

Result<std::unique_ptr<Container>> Container::restore(const RestoreOptions& options,
                                                      ContainerOutput output) {
  auto container = std::make_unique<RunningContainer>(std::move(output));
  HUSK_TRY(container->begin_from(options));
  return container;
}

}  // namespace husk::runtime
