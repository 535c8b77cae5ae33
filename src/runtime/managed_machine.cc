#include "runtime/managed_machine.h"

#include <algorithm>

#include "base/fd.h"
#include "base/log.h"
#include "base/try.h"
#include "runtime/debug_target.h"
#include "runtime/device_snapshots.h"
#include "runtime/native_registers.h"
#include "runtime/standard_devices.h"
#include "virtio/mmio_transport.h"

namespace husk::runtime {

using machine::Operation;
using machine::VmState;

namespace {

constexpr size_t kLargestFile = size_t{2} << 30;    // of a kernel or an initrd
constexpr uint64_t kPauseLimitNs = 10'000'000'000;  // contract, section 4

}  // namespace

// A handle: the vCPU itself runs on a thread of the machine's.
class ManagedVcpu final : public machine::Vcpu {
 public:
  ManagedVcpu(ManagedMachine& machine, uint32_t id) : machine_(machine), id_(id) {}
  uint32_t id() const override { return id_; }

  Result<machine::VcpuExit> run() override { return managed("run()"); }
  Result<void> set_io_result(uint64_t) override { return managed("set_io_result()"); }
  Result<void> set_mmio_result(uint64_t) override { return managed("set_mmio_result()"); }
  Result<void> set_hypercall_result(uint64_t) override { return managed("set_hypercall_result()"); }
  Result<DebugStop> debug_stop() const override { return managed("debug_stop()"); }
  Result<void> set_debug(const DebugOptions&) override {
    return fail(ErrorKind::kUnsupported, "vCPU " + std::to_string(id_),
                "set_debug() is for manual execution; this machine runs its vCPUs itself");
  }

  Result<Registers> regs() const override { return get<Registers>(); }
  Result<void> set_regs(const Registers& regs) override { return set(regs); }
  Result<Arm64Registers> arm64_regs() const override { return get<Arm64Registers>(); }
  Result<void> set_arm64_regs(const Arm64Registers& regs) override { return set(regs); }
  Result<VcpuSnapshot> snapshot() const override {
    MachineRun* run = HUSK_TRY(machine_.paused_run());
    return run->capture(id_);
  }
  Result<void> restore(const VcpuSnapshot& snapshot) override {
    MachineRun* run = HUSK_TRY(machine_.paused_run());
    return run->restore(id_, snapshot);
  }

 private:
  template <class Wanted>
  [[nodiscard]] Result<Wanted> get() const {
    return get_if_native<Wanted>([this]() -> Result<NativeRegisters> {
      MachineRun* run = HUSK_TRY(machine_.paused_run());
      return run->registers(id_);
    });
  }
  template <class Given>
  [[nodiscard]] Result<void> set(const Given& given) {
    return set_if_native(given, [this](const NativeRegisters& regs) -> Result<void> {
      MachineRun* run = HUSK_TRY(machine_.paused_run());
      return run->set_registers(id_, regs);
    });
  }
  [[nodiscard]] std::unexpected<Error> managed(const std::string& call) const {
    return fail(ErrorKind::kState, "vCPU " + std::to_string(id_),
                call + " is for manual execution; this machine runs its vCPUs itself");
  }

  ManagedMachine& machine_;
  uint32_t id_;
};

ManagedMachine::ManagedMachine(machine::VmConfig config,
                               std::unique_ptr<memory::GuestMemory> memory, RunFactory factory)
    : config_(std::move(config)),
      memory_(std::move(memory)),
      view_(*memory_),
      factory_(std::move(factory)) {}

Result<std::unique_ptr<ManagedMachine>> ManagedMachine::create(machine::VmConfig config,
                                                               RunFactory factory) {
  HUSK_TRY(config.validate());
  auto memory = HUSK_TRY(memory::GuestMemory::create(ram_layout(config.memory_size)));
  return std::unique_ptr<ManagedMachine>(
      new ManagedMachine(std::move(config), std::move(memory), std::move(factory)));
}

ManagedMachine::~ManagedMachine() { close_debugger(); }

// Its board has nobody to answer them.
Result<void> ManagedMachine::exit_on_hypercalls(bool) {
  return fail(ErrorKind::kUnsupported, "VM", "exit_on_hypercalls() is for manual execution");
}

Result<std::unique_ptr<machine::Vcpu>> ManagedMachine::create_vcpu(uint32_t id) {
  const std::string subject = "vCPU " + std::to_string(id);
  if (id >= config_.vcpu_count)
    return fail(ErrorKind::kInvalidArgument, subject,
                "the machine has " + std::to_string(config_.vcpu_count));
  if (!created_vcpus_.insert(id).second)
    return fail(ErrorKind::kInvalidArgument, subject, "was created before");
  return std::make_unique<ManagedVcpu>(*this, id);
}

Result<void> ManagedMachine::set_extras(MachineExtras extras) {
  HUSK_TRY(machine::check_state(Operation::kAddDevice, state()));
  extras_ = std::move(extras);
  return {};
}

Result<void> ManagedMachine::add_virtio_device(const VirtioDeviceConfig& device) {
  HUSK_TRY(machine::check_state(Operation::kAddDevice, state()));
  if (device.device_type == VirtioDeviceType::kVsock) return add_vsock(device);
  DeviceFactory factory = HUSK_TRY(standard_device(device));
  return add_device(device, std::move(factory));
}

bool ManagedMachine::has_vsock() const {
  return std::ranges::any_of(devices_, [](const Slot& slot) {
    return slot.config.device_type == VirtioDeviceType::kVsock;
  });
}

// A guest has one CID.
Result<void> ManagedMachine::add_vsock(const VirtioDeviceConfig& config) {
  if (has_vsock()) return fail(ErrorKind::kLimit, "VM", "has a vsock already");
  return add_device(config, [this, config] { return vsock_.make_device(config); });
}

Result<void> ManagedMachine::add_device(const VirtioDeviceConfig& config, DeviceFactory factory) {
  HUSK_TRY(machine::check_state(Operation::kAddDevice, state()));
  if (devices_.size() == kVirtioSlots)
    return fail(ErrorKind::kLimit, "VM",
                "has no room for more than " + std::to_string(kVirtioSlots) + " devices");
  devices_.push_back({config, std::move(factory)});
  return {};
}

Result<void> ManagedMachine::attach_devices(Board& board) {
  for (const Slot& slot : devices_) {
    auto device = HUSK_TRY(slot.factory());
    const contract::IrqLine line = board.next_virtio_line();
    HUSK_TRY(board.attach_virtio(
        std::make_unique<virtio::MmioTransport>(std::move(device), board.memory(), line)));
  }
  return {};
}

Result<void> ManagedMachine::load_kernel(MachineRun& run) {
  if (!config_.kernel_path)
    return fail(ErrorKind::kInvalidArgument, "kernel_path", "a managed machine needs a kernel");
  const std::string kernel =
      HUSK_TRY(base::read_file(*config_.kernel_path, "kernel", kLargestFile));
  std::string initrd = extras_.initrd;
  if (config_.initrd_path)
    initrd = HUSK_TRY(base::read_file(*config_.initrd_path, "initrd", kLargestFile));
  KernelRequest request;
  request.name = *config_.kernel_path;
  request.kernel = std::as_bytes(std::span(kernel));
  request.initrd = std::as_bytes(std::span(initrd));
  request.initrd_name = config_.initrd_path.value_or("initrd");
  request.command_line = config_.kernel_cmdline.value_or("");
  const auto loaded = HUSK_TRY(run.load(request));
  kernel_description_ = loaded.description;
  base::log(base::LogLevel::kDebug, "booting {}", kernel_description_);
  return {};
}

Result<std::unique_ptr<MachineRun>> ManagedMachine::build(const Preparation& prepare) {
  BoardOptions board;
  board.vcpus = config_.vcpu_count;
  board.cpu_model = config_.cpu_model;
  board.kernel_irqchip = config_.kernel_irqchip;
  board.debug_exit = extras_.debug_exit;
  board.test_device = extras_.test_device;
  contract::ByteSink& serial = extras_.serial_output != nullptr ? *extras_.serial_output : dropped_;
  auto run = HUSK_TRY(factory_(board, *memory_, serial));
  if (extras_.track_writes) HUSK_TRY(memory_->enable_dirty_tracking());
  HUSK_TRY(attach_devices(run->board()));
  HUSK_TRY(prepare(*run));
  return run;
}

Result<void> ManagedMachine::start() {
  HUSK_TRY(machine::check_state(Operation::kStart, state()));
  if (run_ != nullptr) {
    close_debugger();
    run_.reset();
    HUSK_TRY(memory_->clear());
  }
  return launch([this](MachineRun& run) { return load_kernel(run); });
}

Result<MachineState> ManagedMachine::capture() {
  MachineRun* run = HUSK_TRY(paused_run());
  return run->capture_machine();
}

Result<void> ManagedMachine::start_from(const MachineState& state) {
  HUSK_TRY(machine::check_state(Operation::kStart, this->state()));
  if (run_ != nullptr)
    return fail(ErrorKind::kState, "VM", "has run before; a snapshot is for a new machine");
  return launch([&](MachineRun& run) { return run.restore_machine(state); });
}

Result<void> ManagedMachine::start_from(const MachineState& state,
                                        std::unique_ptr<memory::GuestMemory> memory) {
  HUSK_TRY(machine::check_state(Operation::kStart, this->state()));
  const auto same = [](const memory::Region& a, const memory::Region& b) {
    return a.start == b.start && a.size == b.size;
  };
  if (!std::ranges::equal(memory->regions(), memory_->regions(), same))
    return fail(ErrorKind::kInvalidArgument, "snapshot", "has memory of another layout");
  view_.show(*memory);
  memory_ = std::move(memory);
  return start_from(state);
}

Result<void> ManagedMachine::launch(const Preparation& prepare) {
  host::warn_memory_exceeds_host_half(config_.memory_size);
  state_ = VmState::kStarting;
  auto run = build(prepare);
  if (!run) {
    state_ = VmState::kError;
    return std::unexpected(run.error());
  }
  run_ = std::move(*run);
  auto started = await_debugger();
  state_ = VmState::kRunning;  // first, for the guest may end at once
  if (started) started = run_->start([this, run = run_.get()] { finished(*run); });
  if (!started) {
    state_ = VmState::kError;
    close_debugger();
    run_.reset();
  }
  return started;
}

Result<void> ManagedMachine::await_debugger() {
  if (extras_.debugger.empty()) return {};
  if (extras_.wait_for_debugger) run_->end().hold();
  return serve_debuggers(extras_.debugger);
}

Result<void> ManagedMachine::serve_debuggers(const std::string& where) {
  auto target = std::make_unique<DebugTarget>(*run_, config_.vcpu_count, *memory_);
  debugger_ = HUSK_TRY(gdb::Server::start(where, std::move(target)));
  run_->debug().set_listener([server = debugger_.get()] { server->wake(); });
  return {};
}

void ManagedMachine::close_debugger() {
  if (debugger_ != nullptr) run_->debug().set_listener({});
  debugger_.reset();
}

Result<std::string> ManagedMachine::open_debugger(const std::string& where) {
  HUSK_TRY(live_run());
  if (debugger_ == nullptr) HUSK_TRY(serve_debuggers(where));
  return debugger_->address();
}

// The guest has ended, by itself or because it was stopped.
void ManagedMachine::finished(MachineRun& run) {
  state_ = run.end().reason() == EndReason::kBackendError ? VmState::kError : VmState::kStopped;
  run.debug().wake();
}

Result<void> ManagedMachine::pause() {
  HUSK_TRY(machine::check_state(Operation::kPause, state()));
  if (!run_->pause(kPauseLimitNs))
    return fail(ErrorKind::kTimeout, "VM", "did not pause within 10 s; it runs on");
  VmState running = VmState::kRunning;
  if (!run_->end().reached() && state_.compare_exchange_strong(running, VmState::kPaused))
    return {};
  return fail(ErrorKind::kState, "VM", "has ended");
}

Result<void> ManagedMachine::resume() {
  VmState paused = VmState::kPaused;  // it may end at any moment
  if (!state_.compare_exchange_strong(paused, VmState::kRunning))
    return machine::check_state(Operation::kResume, paused);
  run_->resume();
  return {};
}

Result<void> ManagedMachine::stop() {
  HUSK_TRY(machine::check_state(Operation::kStop, state()));
  state_ = VmState::kStopping;
  run_->end().reach(EndReason::kStopped, 0);
  run_->join();
  return {};
}

const MachineEnd& ManagedMachine::wait() {
  run_->end().wait_until_reached();
  run_->join();
  return run_->end();
}

void ManagedMachine::halt() {
  if (run_ == nullptr) return;
  run_->end().reach(EndReason::kStopped, 0);
  run_->join();
}

Result<base::Fd> ManagedMachine::connect_vsock(uint32_t port, const net::Patience& patience) {
  if (state() != VmState::kRunning)
    return fail(ErrorKind::kState, "VM",
                "expected state running, actual state " + std::string(to_string(state())));
  if (!has_vsock()) return fail(ErrorKind::kState, "VM", "has no vsock");
  return vsock_.connect(port, patience);
}

size_t ManagedMachine::send_serial(std::span<const std::byte> data) {
  return run_->board().serial().push(data);
}

Result<MachineRun*> ManagedMachine::paused_run() {
  if (state() == VmState::kPaused) return run_.get();
  return fail(ErrorKind::kState, "VM",
              "expected state paused, actual state " + std::string(to_string(state())));
}

Result<MachineRun*> ManagedMachine::live_run() {
  if (state() == VmState::kRunning || state() == VmState::kPaused) return run_.get();
  return fail(ErrorKind::kState, "VM",
              "expected state running or paused, actual state " + std::string(to_string(state())));
}

Result<void> ManagedMachine::register_irqfd(uint32_t gsi, int eventfd, int resample) {
  MachineRun* run = HUSK_TRY(live_run());
  return run->register_irqfd(gsi, eventfd, resample);
}

Result<void> ManagedMachine::unregister_irqfd(uint32_t gsi, int eventfd) {
  MachineRun* run = HUSK_TRY(live_run());
  return run->unregister_irqfd(gsi, eventfd);
}

Result<std::vector<DeviceSnapshot>> ManagedMachine::snapshot_devices() const {
  std::vector<VirtioDeviceConfig> configs;
  for (const Slot& slot : devices_) configs.push_back(slot.config);
  return describe_devices(configs);
}

Result<void> ManagedMachine::restore_devices(std::span<const DeviceSnapshot> snapshots) {
  std::vector<VirtioDeviceConfig> configs;
  for (const Slot& slot : devices_) configs.push_back(slot.config);
  return check_devices(configs, snapshots);
}

}  // namespace husk::runtime
