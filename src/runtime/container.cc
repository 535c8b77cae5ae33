#include "runtime/container.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "husk/mapping.h"

#include "agent/host/client.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/random.h"
#include "base/try.h"
#include "oci/prepare.h"
#include "runtime/capture.h"
#include "runtime/container_machine.h"
#include "runtime/guest_kernel.h"
#include "runtime/hypervisor.h"
#include "runtime/machine_snapshot.h"
#include "runtime/managed_machine.h"
#include "runtime/warm_start.h"
#include "snapshot/restore.h"

namespace husk::runtime {
namespace {

constexpr size_t kEntropyBytes = 64;
constexpr uint64_t kOutputLimitNs = 2'000'000'000;  // for a reader of the output, while paused
constexpr std::string_view kAgentState = "agent";   // where a snapshot keeps its conversation
constexpr const char* kGuestAddress = "127.0.0.1";  // its only network is its loopback
constexpr std::string_view kPanicMarker = "Kernel panic - not syncing: ";

// The serial console, line by line: the ready marker, a panic's reason, and the lines for whoever
// wants them.
class SerialWatch : public contract::ByteSink {
 public:
  using LineHandler = std::function<void(std::string_view)>;
  explicit SerialWatch(LineHandler on_line) : on_line_(std::move(on_line)) {}
  void write(std::span<const std::byte> data) override {
    for (const std::byte byte : data) {
      const char c = static_cast<char>(byte);
      if (c == '\n') {
        take_line();
      } else if (c != '\r' && line_.size() < 1024) {
        line_ += c;
      }
    }
  }
  // Once the machine has ended.
  [[nodiscard]] const std::string& panic() const { return panic_; }

 private:
  void take_line() {
    on_line_(line_);
    if (const size_t at = line_.find(kPanicMarker); at != std::string::npos && panic_.empty())
      panic_ = line_.substr(at + kPanicMarker.size());
    line_.clear();
  }
  LineHandler on_line_;
  std::string line_, panic_;
};

// Entrypoint and Cmd as Docker combines them.
std::vector<std::string> arguments(const ContainerOptions& options,
                                   const image::ImageConfig& image) {
  std::vector<std::string> argv =
      options.entrypoint ? std::vector<std::string>{} : image.entrypoint;
  if (options.entrypoint && !options.entrypoint->empty()) argv.push_back(*options.entrypoint);
  const bool image_command = options.command.empty() && !options.entrypoint;
  const auto& command = image_command ? image.cmd : options.command;
  argv.insert(argv.end(), command.begin(), command.end());
  return argv;
}

// The image's variables, each replaced by the user's of the same name.
std::vector<std::string> environment(const ContainerOptions& options,
                                     const image::ImageConfig& image) {
  std::vector<std::string> merged = image.env;
  for (const std::string& entry : options.environment) {
    const std::string prefix = entry.substr(0, entry.find('=') + 1);
    std::erase_if(merged, [&](const std::string& old) { return old.starts_with(prefix); });
    merged.push_back(entry);
  }
  return merged;
}

class RunningContainer : public Container {
 public:
  explicit RunningContainer(ContainerOutput output)
      : output_(std::move(output)),
        serial_([this](std::string_view line) { on_serial_line(line); }),
        client_(output_.out, output_.err) {}
  ~RunningContainer() override {
    if (machine_ != nullptr) machine_->halt();
  }

  Result<void> begin(const ContainerOptions& options) {
    const auto reference = HUSK_TRY(oci::parse_reference(options.image));
    oci::PrepareOptions preparation;
    preparation.architecture = kImageArchitecture;
    const oci::PreparedImage image = HUSK_TRY(oci::prepare(reference, preparation));
    agent::RunRequest request = HUSK_TRY(request_for(options, image.config));
    const GuestKernel kernel = HUSK_TRY(find_guest_kernel(options.kernel));
    HUSK_TRY(describe(options, image, kernel));
    record_.stop_signal = image.config.stop_signal;
    request.hostname = record_.config.name;
    record_.backend = HUSK_TRY(resolve_backend(options.backend));
    const ContainerPlan plan{record_.backend, record_.config, kernel, options.kernel_irqchip,
                             options.vsock};
    HUSK_TRY(build(plan));
    const auto started = options.cold ? boot(plan, request) : go_on(plan, request);
    report_state();
    return started;
  }

  Result<void> begin_from(const RestoreOptions& options) {
    const auto chain = HUSK_TRY(options.from.open_chain());
    snapshot::Contents contents = chain.tip().contents();
    record_ = HUSK_TRY(get_record(contents, options.from.text()));
    if (!options.backend.empty()) record_.backend = HUSK_TRY(resolve_backend(options.backend));
    record_.config.name = options.name.empty() ? fmt::format("husk-{}", ::getpid()) : options.name;
    HUSK_TRY(record_.config.validate());
    HUSK_TRY(build({record_.backend, record_.config, {}, record_.kernel_irqchip, {}}));
    HUSK_TRY(machine_->restore_devices(contents.machine.devices));
    const auto position = HUSK_TRY(take_state(contents, kAgentState));
    const MachineState state = HUSK_TRY(from_contents(contents));
    auto memory = HUSK_TRY(snapshot::restore_memory(chain));
    MachineExtras extras;
    extras.serial_output = &serial_;
    extras.track_writes = true;
    HUSK_TRY(machine_->set_extras(std::move(extras)));
    capturer_->set_last(link_of(options.from, chain.tip().id()));
    const std::string entropy = HUSK_TRY(base::random_bytes(kEntropyBytes));
    HUSK_TRY(client_.go_on(position, {base::realtime_ns(), entropy, options.hostname}));
    HUSK_TRY(machine_->start_from(state, std::move(memory)));
    if (options.rows != 0) resize(options.rows, options.columns);
    has_gone_on();
    return {};
  }

  Result<CaptureReport> capture(const CaptureRequest& request) override {
    return capturer_->capture(request, [this] { return describe_now(); });
  }

  size_t send_input(std::span<const std::byte> data) override { return client_.send_input(data); }
  void close_input() override { client_.close_input(); }
  void resize(uint32_t rows, uint32_t columns) override { client_.send_window_size(rows, columns); }
  const ContainerRecord& record() const override { return record_; }

  void send_signal(int number) override {
    if (client_.started()) return client_.send_signal(number);
    end_by(number);
  }
  void kill() override { end_by(SIGKILL); }
  Result<void> pause() override { return changed(machine_->pause()); }
  Result<void> resume() override { return changed(machine_->resume()); }

  Result<ContainerExit> wait() override {
    machine_->wait();
    client_.drain();
    const auto exit = outcome();
    if (!exit) failure_ = exit.error().why;
    report_state();
    return exit;
  }

 private:
  [[nodiscard]] Result<ContainerExit> outcome() {
    const agent::RunResult result = client_.result();
    if (result.failed) return fail(ErrorKind::kBackend, "container", result.reason);
    if (result.finished) return ContainerExit{result.code, result.reason};
    if (ended_by_ != 0) return ContainerExit{128 + ended_by_, {}};
    if (!serial_.panic().empty())
      return fail(ErrorKind::kBackend, "guest kernel panic", serial_.panic());
    return fail(ErrorKind::kBackend, "guest", "it ended without saying how the command did");
  }

  Result<void> boot(const ContainerPlan& plan, const agent::RunRequest& request) {
    client_.run(request);
    return boot_container_machine(plan, made_, serial_);
  }

  Result<void> build(const ContainerPlan& plan) {
    made_ = HUSK_TRY(build_container_machine(plan, client_, serial_));
    machine_ = &made_.machine();
    capturer_ = std::make_unique<Capturer>(*machine_);
    client_.set_on_finished([this] { finished(); });
    report_state();
    return {};
  }

  // While the machine is paused: all of it but memory, and how far its agent and this client are.
  Result<snapshot::Contents> describe_now() {
    snapshot::Contents contents;
    const auto capture_machine = [&]() -> Result<void> {
      contents = to_contents(HUSK_TRY(machine_->capture()));
      return {};
    };
    auto position = HUSK_TRY(client_.position(kOutputLimitNs, capture_machine));
    contents.machine.devices = HUSK_TRY(machine_->snapshot_devices());
    contents.states.push_back({std::string(kAgentState), std::move(position)});
    HUSK_TRY(put_record(record_, contents));
    return contents;
  }

  // From the base snapshot, where there can be one.
  Result<void> go_on(const ContainerPlan& plan, agent::RunRequest request) {
    auto warm = warm_start(plan);
    if (!warm) {
      base::log(base::LogLevel::kWarn, "{}; the machine boots instead", warm.error().message());
      return boot(plan, request);
    }
    request.realtime_ns = base::realtime_ns();
    request.entropy = HUSK_TRY(base::random_bytes(kEntropyBytes));
    client_.assume_hello();
    client_.run(request);
    HUSK_TRY(machine_->start_from(warm->state, std::move(warm->memory)));
    has_gone_on();
    return {};
  }

  void has_gone_on() {
    report_state();
    const std::lock_guard lock(report_mutex_);
    ready_ip_ = kGuestAddress;  // as the agent had said before the snapshot
  }

  // On a vCPU's thread.
  void on_serial_line(std::string_view line) {
    if (output_.serial) output_.serial(line);
    const auto ip = lifecycle::parse_ready_line(line);
    if (!ip) return;
    const std::lock_guard lock(report_mutex_);
    ready_ip_ = *ip;
    tell_state();
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
    tell_state();
  }
  void tell_state() {
    if (!output_.state) return;
    const auto state = failure_ ? machine::VmState::kError : machine_->state();
    output_.state(mapping::to_lifecycle(state, {ready_ip_, failure_}));
  }

  // On the client's thread. The agent has written everything back; how the guest would power itself
  // off is of no interest to anybody.
  void finished() { machine_->end().reach(EndReason::kStopped, 0); }

  static Result<agent::RunRequest> request_for(const ContainerOptions& options,
                                               const image::ImageConfig& image) {
    agent::RunRequest request;
    request.argv = arguments(options, image);
    if (request.argv.empty())
      return fail(ErrorKind::kInvalidArgument, options.image,
                  "no command: the image names none and none was given");
    request.environment = environment(options, image);
    request.working_directory =
        options.working_directory.empty() ? image.working_dir : options.working_directory;
    request.user = options.user.empty() ? image.user : options.user;
    request.terminal = options.terminal;
    request.input = options.input;
    request.rows = options.rows;
    request.columns = options.columns;
    return request;
  }

  // The operator's view of the machine; building goes by it.
  Result<void> describe(const ContainerOptions& options, const oci::PreparedImage& image,
                        const GuestKernel& kernel) {
    record_.config.name = options.name.empty() ? fmt::format("husk-{}", ::getpid()) : options.name;
    record_.config.namespace_name = "default";
    record_.config.kernel = kernel.path;
    record_.config.root_disk = image.root_path;
    record_.config.cpus = options.vcpus;
    record_.config.cpu_model = options.cpu_model;
    record_.config.vsock = !options.vsock.empty();
    record_.config.memory_mb = options.memory_bytes >> 20;
    record_.config.cmdline = container_command_line();
    record_.image = image.digest;
    record_.kernel_irqchip = options.kernel_irqchip;
    record_.terminal = options.terminal;
    record_.input = options.input;
    return record_.config.validate();
  }

  ContainerOutput output_;
  ContainerRecord record_;
  std::mutex report_mutex_;
  std::optional<std::string> ready_ip_, failure_;
  SerialWatch serial_;
  std::atomic<int> ended_by_{0};  // a signal that the command was not there to take
  ContainerMachine made_;
  ManagedMachine* machine_ = nullptr;
  std::unique_ptr<Capturer> capturer_;
  agent::Client client_;  // goes before the machine, which its thread looks at
};

}  // namespace

Result<std::unique_ptr<Container>> Container::start(const ContainerOptions& options,
                                                    ContainerOutput output) {
  auto container = std::make_unique<RunningContainer>(std::move(output));
  HUSK_TRY(container->begin(options));
  return container;
}

Result<std::unique_ptr<Container>> Container::restore(const RestoreOptions& options,
                                                      ContainerOutput output) {
  auto container = std::make_unique<RunningContainer>(std::move(output));
  HUSK_TRY(container->begin_from(options));
  return container;
}

}  // namespace husk::runtime
