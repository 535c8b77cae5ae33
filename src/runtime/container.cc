#include "runtime/container.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "agent/host/client.h"
#include "agent/host/initramfs.h"
#include "base/fd.h"
#include "base/try.h"
#include "oci/prepare.h"
#include "runtime/guest_kernel.h"
#include "runtime/machine.h"
#include "virtio/block.h"
#include "virtio/console.h"
#include "virtio/file_store.h"
#include "virtio/mmio_transport.h"
#include "virtio/rng.h"

namespace husk::runtime {
namespace {

constexpr size_t kLargestKernel = size_t{512} << 20;
constexpr uint64_t kStopTimeoutNs = 10'000'000'000;  // the lifecycle contract's limit for stopping
constexpr size_t kControlPort = 2;
constexpr std::string_view kKernelOptions =
    "console=ttyS0 quiet panic=-1 reboot=k random.trust_cpu=on";
constexpr std::string_view kReadyMarker = "VMRS_READY ";
constexpr std::string_view kPanicMarker = "Kernel panic - not syncing: ";

// The serial console, line by line: the ready marker, a panic's reason, and the lines for whoever
// wants them.
class SerialWatch : public contract::ByteSink {
 public:
  explicit SerialWatch(ContainerOutput& output) : output_(output) {}
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
  [[nodiscard]] const std::string& panic() const { return panic_; }

 private:
  void take_line() {
    if (output_.serial) output_.serial(line_);
    if (line_.starts_with(kReadyMarker) && output_.state)
      output_.state(lifecycle::VmState::ready(line_.substr(kReadyMarker.size())));
    if (const size_t at = line_.find(kPanicMarker); at != std::string::npos && panic_.empty())
      panic_ = line_.substr(at + kPanicMarker.size());
    line_.clear();
  }
  ContainerOutput& output_;
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
      : output_(std::move(output)), serial_(output_), client_(output_.out, output_.err) {}
  ~RunningContainer() override {
    if (machine_) machine_->stop();
  }

  Result<void> begin(const ContainerOptions& options) {
    const auto reference = HUSK_TRY(oci::parse_reference(options.image));
    const oci::PreparedImage image = HUSK_TRY(oci::prepare(reference, {}));
    agent::RunRequest request;
    request.argv = arguments(options, image.config);
    if (request.argv.empty())
      return fail(ErrorKind::kInvalidArgument, options.image,
                  "no command: the image names none and none was given");
    request.environment = environment(options, image.config);
    request.working_directory =
        options.working_directory.empty() ? image.config.working_dir : options.working_directory;
    request.user = options.user.empty() ? image.config.user : options.user;
    request.terminal = options.terminal;
    request.input = options.input;
    request.rows = options.rows;
    request.columns = options.columns;
    const GuestKernel kernel = HUSK_TRY(find_guest_kernel(options.kernel));
    HUSK_TRY(describe(options, image, kernel));
    request.hostname = config_.name;
    HUSK_TRY(build(options, image, kernel));
    client_.run(request);
    client_.set_on_finished([this] { finished(); });
    set_state(lifecycle::VmState::starting());
    machine_->start();
    set_state(lifecycle::VmState::running());
    return {};
  }

  size_t send_input(std::span<const std::byte> data) override { return client_.send_input(data); }
  void close_input() override { client_.close_input(); }
  void resize(uint32_t rows, uint32_t columns) override { client_.send_window_size(rows, columns); }
  const lifecycle::VmConfig& config() const override { return config_; }

  void send_signal(int number) override {
    if (client_.started()) return client_.send_signal(number);
    early_signal_ = number;
    machine_->end().reach(EndReason::kStopped, 0);
  }

  Result<ContainerExit> wait() override {
    machine_->end().wait_until_reached();
    machine_->join();
    const agent::RunResult result = client_.result();
    if (result.failed) return failed("container: " + result.reason);
    if (result.finished) {
      set_state(lifecycle::VmState::stopped());
      return ContainerExit{result.code, result.reason};
    }
    if (early_signal_ != 0) return ContainerExit{128 + early_signal_, {}};
    if (!serial_.panic().empty()) return failed("guest kernel panic: " + serial_.panic());
    return failed("the guest ended without saying how the command did");
  }

 private:
  void set_state(const lifecycle::VmState& state) {
    if (output_.state) output_.state(state);
  }
  std::unexpected<Error> failed(const std::string& why) {
    set_state(lifecycle::VmState::failed(why));
    return fail(ErrorKind::kBackend, {}, why);
  }

  // On the client's thread. The agent powers the machine off by itself; one that does not is
  // stopped.
  void finished() {
    if (!machine_->end().wait_for(kStopTimeoutNs)) machine_->end().reach(EndReason::kStopped, 0);
  }

  // The operator's view of the machine; building goes by it.
  Result<void> describe(const ContainerOptions& options, const oci::PreparedImage& image,
                        const GuestKernel& kernel) {
    config_.name = options.name.empty() ? fmt::format("husk-{}", ::getpid()) : options.name;
    config_.namespace_name = "default";
    config_.kernel = kernel.path;
    config_.root_disk = image.root_path;
    config_.cpus = options.vcpus;
    config_.memory_mb = options.memory_bytes >> 20;
    config_.cmdline = std::string(kKernelOptions);
    return config_.validate();
  }

  Result<void> build(const ContainerOptions& options, const oci::PreparedImage& image,
                     const GuestKernel& kernel) {
    BoardOptions board;
    board.memory_bytes = config_.memory_mb << 20;
    board.vcpus = options.vcpus;
    machine_ = HUSK_TRY(Machine::create(board, serial_));
    HUSK_TRY(attach_devices(image));
    const std::string kernel_bytes =
        HUSK_TRY(base::read_file(kernel.path, "kernel", kLargestKernel));
    const std::string initramfs =
        HUSK_TRY(agent::build_initramfs(kernel.modules, agent::kWantedModules));
    boot::KernelRequest request;
    request.name = kernel.path;
    request.kernel = std::as_bytes(std::span(kernel_bytes));
    request.initrd = std::as_bytes(std::span(initramfs));
    request.initrd_name = "initramfs";
    request.command_line = *config_.cmdline;
    HUSK_TRY(machine_->load(request));
    return {};
  }

  Result<void> attach(std::unique_ptr<virtio::Device> device) {
    Board& board = machine_->board();
    const contract::IrqLine line = board.next_virtio_line();
    HUSK_TRY(board.attach_virtio(
        std::make_unique<virtio::MmioTransport>(std::move(device), board.memory(), line)));
    return {};
  }

  Result<void> attach_devices(const oci::PreparedImage& image) {
    auto console = std::make_unique<virtio::Console>(
        std::vector<virtio::Console::PortSpec>{{"husk.console", true, nullptr},
                                               {"husk.log", true, nullptr},
                                               {std::string(agent::kPortName), false, &client_}});
    client_.attach(console->input(kControlPort));
    HUSK_TRY(attach(std::move(console)));
    auto root = HUSK_TRY(virtio::FileStore::open(image.root_path, true));
    HUSK_TRY(attach(std::make_unique<virtio::Block>(std::move(root), "husk-root")));
    return attach(std::make_unique<virtio::Rng>());
  }

  ContainerOutput output_;
  SerialWatch serial_;
  agent::Client client_;
  lifecycle::VmConfig config_;
  std::unique_ptr<Machine> machine_;
  std::atomic<int> early_signal_{0};
};

}  // namespace

Result<std::unique_ptr<Container>> Container::start(const ContainerOptions& options,
                                                    ContainerOutput output) {
  auto container = std::make_unique<RunningContainer>(std::move(output));
  HUSK_TRY(container->begin(options));
  return container;
}

}  // namespace husk::runtime
