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
#include "runtime/container_machine.h"
#include "runtime/guest_kernel.h"
#include "runtime/hypervisor.h"
#include "runtime/managed_machine.h"
#include "runtime/serial_watch.h"
#include "runtime/warm_start.h"

namespace husk::runtime {
namespace {

constexpr size_t kEntropyBytes = 64;
constexpr const char* kGuestAddress = "127.0.0.1";  // its only network is its loopback

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
        serial_([this](std::string_view line) { on_serial_line(line); },
                [this](std::string_view address) {
                  ready(address);
                  report_state();
                }),
        client_(agent::SessionKind::kMain,
                [this](const base::Fd& giving_up) {
                  return machine_->connect_vsock(agent::kPort, {.giving_up = giving_up.get()});
                },
                {.out = output_.out,
                 .err = output_.err,
                 .started = output_.started,
                 .finished = [this] { finished(); }}) {}
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
    stop_signal_ = image.config.stop_signal;
    request.hostname = config_.name;
    const ContainerPlan plan{HUSK_TRY(resolve_backend(options.backend)), config_, kernel,
                             options.kernel_irqchip, options.vsock};
    made_ = HUSK_TRY(build_container_machine(plan, serial_));
    machine_ = &made_.machine();
    report_state();
    const auto started = options.cold ? boot(plan, request) : go_on(plan, request);
    report_state();
    return started;
  }

  size_t send_input(std::span<const std::byte> data) override { return client_.send_input(data); }
  void close_input() override { client_.close_input(); }
  void resize(uint32_t rows, uint32_t columns) override { client_.send_window_size(rows, columns); }
  const lifecycle::VmConfig& config() const override { return config_; }
  const std::string& stop_signal() const override { return stop_signal_; }

  void send_signal(int number) override {
    if (client_.started()) return client_.send_signal(number);
    end_by(number);
  }
  void kill() override { end_by(SIGKILL); }
  Result<void> pause() override { return changed(machine_->pause()); }
  Result<void> resume() override { return changed(machine_->resume()); }

  Result<std::unique_ptr<RunningCommand>> exec(const ExecOptions& options,
                                               CommandOutput output) override {
    return exec_over(HUSK_TRY(machine_->connect_vsock(agent::kPort)), options, std::move(output));
  }

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
    if (!result.reason.empty()) return fail(ErrorKind::kBackend, "guest", result.reason);
    return fail(ErrorKind::kBackend, "guest", "it ended without saying how the command did");
  }

  Result<void> boot(const ContainerPlan& plan, const agent::RunRequest& request) {
    client_.run(request);
    return boot_container_machine(plan, made_, serial_);
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
    client_.run(request);
    HUSK_TRY(machine_->start_from(warm->state, std::move(warm->memory)));
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
    client_.begin();
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
    config_.name = options.name.empty() ? fmt::format("husk-{}", ::getpid()) : options.name;
    config_.namespace_name = "default";
    config_.kernel = kernel.path;
    config_.root_disk = image.root_path;
    config_.cpus = options.vcpus;
    config_.cpu_model = options.cpu_model;
    config_.vsock = !options.vsock.empty();
    config_.memory_mb = options.memory_bytes >> 20;
    config_.cmdline = container_command_line();
    return config_.validate();
  }

  ContainerOutput output_;
  lifecycle::VmConfig config_;
  std::mutex report_mutex_;
  std::optional<std::string> ready_ip_, failure_;
  std::string stop_signal_;
  SerialWatch serial_;
  std::atomic<int> ended_by_{0};  // a signal that the command was not there to take
  ContainerMachine made_;
  ManagedMachine* machine_ = nullptr;
  agent::Client client_;  // goes before the machine, which its thread looks at
};

}  // namespace

Result<std::unique_ptr<Container>> Container::start(const ContainerOptions& options,
                                                    ContainerOutput output) {
  auto container = std::make_unique<RunningContainer>(std::move(output));
  HUSK_TRY(container->begin(options));
  return container;
}

}  // namespace husk::runtime
