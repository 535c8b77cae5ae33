// A VirtualMachine in manual execution: the caller makes the vCPUs and drives run() on threads of
// its own, and answers what the guest asks of devices. The machine is memory and processors,
// nothing else: no board, no kernel.
//
// A vCPU begins where a boot loader would leave it: 32-bit protected mode with flat segments and no
// paging on x86-64, EL1 with the MMU off on aarch64; which instruction is set_regs()'s or
// set_arm64_regs()'s to say.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "husk/machine.h"
#include "husk/mapping.h"
#include "husk/seam.h"

#include "base/try.h"
#include "guest.h"
#include "memory/guest_memory.h"
#include "registers.h"
#include "runtime/irqfds.h"
#include "runtime/memory_view.h"
#include "runtime/native_registers.h"
#include "runtime/vcpu_state_bytes.h"
#include "wiring.h"

namespace husk::runtime {

template <seam::HypervisorVm Vm>
class ManualMachine;

template <seam::HypervisorVm Vm>
class ManualVcpu final : public machine::Vcpu {
 public:
  ManualVcpu(ManualMachine<Vm>& machine, uint32_t id, typename Vm::Vcpu& vcpu)
      : machine_(machine), id_(id), vcpu_(vcpu) {}

  uint32_t id() const override { return id_; }
  // kState when the machine is not running, or is no longer: pause() and stop() end a run().
  Result<machine::VcpuExit> run() override;
  Result<Registers> regs() const override { return get<Registers>(); }
  Result<void> set_regs(const Registers& regs) override { return set(regs); }
  Result<Arm64Registers> arm64_regs() const override { return get<Arm64Registers>(); }
  Result<void> set_arm64_regs(const Arm64Registers& regs) override { return set(regs); }
  Result<void> set_io_result(uint64_t value) override {
    return answer<machine::exits::IoIn>(value, "an IoIn exit");
  }
  Result<void> set_mmio_result(uint64_t value) override {
    return answer<machine::exits::MmioRead>(value, "an MmioRead exit");
  }
  Result<void> set_hypercall_result(uint64_t value) override {
    return answer<machine::exits::Hypercall>(value, "a Hypercall exit");
  }
  Result<void> set_debug(const DebugOptions& options) override;
  Result<DebugStop> debug_stop() const override;
  Result<VcpuSnapshot> snapshot() const override { return capture_vcpu(id_, vcpu_); }
  Result<void> restore(const VcpuSnapshot& snapshot) override {
    last_ = {};
    return restore_vcpu(id_, vcpu_, snapshot);
  }

 private:
  template <class Wanted>
  Result<Wanted> get() const {
    return get_if_native<Wanted>([this] { return get_registers(vcpu_); });
  }
  template <class Given>
  Result<void> set(const Given& given) {
    return set_if_native(
        given, [this](const NativeRegisters& regs) { return set_registers(vcpu_, regs); });
  }
  template <class Exit>
  Result<void> answer(uint64_t value, const char* expected);
  // What the seam's exit leaves in the vCPU's registers.
  Result<void> complete(machine::VcpuExit& exit) const;

  ManualMachine<Vm>& machine_;
  uint32_t id_;
  typename Vm::Vcpu& vcpu_;
  machine::VcpuExit last_ = machine::exits::Unknown{};
  DebugStop stop_;  // of a Debug exit
};

template <seam::HypervisorVm Vm>
class ManualMachine final : public machine::VirtualMachine {
 public:
  [[nodiscard]] static Result<std::unique_ptr<machine::VirtualMachine>> create(
      machine::VmConfig config);

  machine::VmState state() const override { return state_.load(std::memory_order_acquire); }
  uint32_t vcpu_count() const override { return config_.vcpu_count; }
  machine::GuestMemory& memory() override { return *view_; }
  Result<std::unique_ptr<machine::Vcpu>> create_vcpu(uint32_t id) override;
  Result<void> exit_on_hypercalls(bool on) override;
  // There is no board to plug it into.
  Result<void> add_virtio_device(const VirtioDeviceConfig&) override {
    HUSK_TRY(machine::check_state(machine::Operation::kAddDevice, state()));
    return fail(ErrorKind::kUnsupported, "virtio device",
                "in manual execution devices are the caller's: they are what run() returns for");
  }
  Result<void> start() override {
    return move_to(machine::Operation::kStart, machine::VmState::kRunning);
  }
  Result<void> pause() override {
    return move_to(machine::Operation::kPause, machine::VmState::kPaused);
  }
  Result<void> resume() override {
    return move_to(machine::Operation::kResume, machine::VmState::kRunning);
  }
  Result<void> stop() override {
    return move_to(machine::Operation::kStop, machine::VmState::kStopped);
  }
  Result<void> register_irqfd(uint32_t gsi, int eventfd, int resample) override {
    return runtime::register_irqfd(*vm_, gsi, eventfd, resample);
  }
  Result<void> unregister_irqfd(uint32_t gsi, int eventfd) override {
    return runtime::unregister_irqfd(*vm_, gsi, eventfd);
  }
  Result<std::vector<DeviceSnapshot>> snapshot_devices() const override {
    return std::vector<DeviceSnapshot>{};
  }
  Result<void> restore_devices(std::span<const DeviceSnapshot> snapshots) override {
    if (snapshots.empty()) return {};
    return fail(ErrorKind::kInvalidArgument, "snapshot",
                "has " + std::to_string(snapshots.size()) + " devices, this machine none");
  }

 private:
  ManualMachine() = default;
  Result<void> move_to(machine::Operation operation, machine::VmState state);

  machine::VmConfig config_;
  std::unique_ptr<memory::GuestMemory> memory_;
  std::unique_ptr<MemoryView> view_;
  std::unique_ptr<Vm> vm_;
  std::vector<std::unique_ptr<typename Vm::Vcpu>> vcpus_;
  std::vector<typename Vm::Vcpu::Handle> handles_;
  std::set<uint32_t> created_;
  std::atomic<machine::VmState> state_{machine::VmState::kCreated};
};

template <seam::HypervisorVm Vm>
Result<machine::VcpuExit> ManualVcpu<Vm>::run() {
  for (;;) {
    if (machine_.state() != machine::VmState::kRunning)
      return fail(ErrorKind::kState, "VM",
                  "expected state running, actual state " +
                      std::string(machine::to_string(machine_.state())));
    const seam::VcpuExit stepped = vcpu_.step();
    auto exit = mapping::to_machine(stepped);
    if (!exit) continue;  // cancelled: the state says whether to go on
    HUSK_TRY(complete(*exit));
    stop_ = {stepped.cause, stepped.virt_addr};
    last_ = *exit;
    return last_;
  }
}

template <seam::HypervisorVm Vm>
Result<void> ManualVcpu<Vm>::complete(machine::VcpuExit& exit) const {
  auto* call = std::get_if<machine::exits::Hypercall>(&exit);
  if (call == nullptr) return {};
  for (size_t n = 0; const seam::CoreReg reg : kHypercallArguments)
    call->args[n++] = HUSK_TRY(vcpu_.get_core(reg));
  return {};
}

template <seam::HypervisorVm Vm>
Result<void> ManualVcpu<Vm>::set_debug(const DebugOptions& options) {
  if constexpr (seam::HasDebug<typename Vm::Vcpu>) return vcpu_.set_debug(options);
  return fail(ErrorKind::kUnsupported, "vCPU " + std::to_string(id_),
              "this backend does not stop for a debugger");
}

template <seam::HypervisorVm Vm>
Result<DebugStop> ManualVcpu<Vm>::debug_stop() const {
  if (std::holds_alternative<machine::exits::Debug>(last_)) return stop_;
  return fail(ErrorKind::kState, "vCPU " + std::to_string(id_), "its last exit was not Debug");
}

template <seam::HypervisorVm Vm>
template <class Exit>
Result<void> ManualVcpu<Vm>::answer(uint64_t value, const char* expected) {
  if (!std::holds_alternative<Exit>(last_))
    return fail(ErrorKind::kState, "vCPU " + std::to_string(id_),
                std::string("its last exit was not ") + expected + ", or was answered");
  last_ = machine::exits::Unknown{};
  vcpu_.set_read_data(value);
  return {};
}

template <seam::HypervisorVm Vm>
Result<std::unique_ptr<machine::VirtualMachine>> ManualMachine<Vm>::create(
    machine::VmConfig config) {
  std::unique_ptr<ManualMachine> made(new ManualMachine);
  made->memory_ = HUSK_TRY(memory::GuestMemory::create(ram_layout(config.memory_size)));
  made->view_ = std::make_unique<MemoryView>(*made->memory_);
  made->vm_ = HUSK_TRY(make_vm<Vm>(config.vcpu_count, config.cpu_model, config.kernel_irqchip));
  made->vm_->attach_memory(*made->memory_);
  for (const memory::Region& region : made->memory_->regions())
    HUSK_TRY(made->vm_->map_ram(region.host, region.start.value, region.size,
                                seam::Prot::kReadWriteExec));
  // All of them now: a backend counts them from 0, callers need not.
  for (uint32_t id = 0; id < config.vcpu_count; ++id) {
    auto vcpu = HUSK_TRY(made->vm_->create_vcpu(id));
    HUSK_TRY(make_flat(*vcpu));
    made->handles_.push_back(vcpu->exit_token());
    made->vcpus_.push_back(std::move(vcpu));
  }
  made->config_ = std::move(config);
  return made;
}

template <seam::HypervisorVm Vm>
Result<std::unique_ptr<machine::Vcpu>> ManualMachine<Vm>::create_vcpu(uint32_t id) {
  const std::string subject = "vCPU " + std::to_string(id);
  if (id >= config_.vcpu_count)
    return fail(ErrorKind::kInvalidArgument, subject,
                "the machine has " + std::to_string(config_.vcpu_count));
  if (!created_.insert(id).second)
    return fail(ErrorKind::kInvalidArgument, subject, "was created before");
  return std::make_unique<ManualVcpu<Vm>>(*this, id, *vcpus_[id]);
}

template <seam::HypervisorVm Vm>
Result<void> ManualMachine<Vm>::exit_on_hypercalls(bool on) {
  if constexpr (seam::HasHypercalls<Vm>) return vm_->exit_on_hypercalls(on);
  return fail(ErrorKind::kUnsupported, "VM", "this backend answers every hypercall itself");
}

template <seam::HypervisorVm Vm>
Result<void> ManualMachine<Vm>::move_to(machine::Operation operation, machine::VmState state) {
  HUSK_TRY(machine::check_state(operation, this->state()));
  state_.store(state, std::memory_order_release);
  if (state != machine::VmState::kRunning) Vm::Vcpu::Handle::force_exit(handles_);
  return {};
}

}  // namespace husk::runtime
