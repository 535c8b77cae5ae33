// One run of a machine, from its building to its end: a backend's VM on a board, with a thread for
// each vCPU. The interface is what the lifecycle above needs; the template behind it is compiled
// once per backend, so that nothing virtual lies between a vCPU and its devices.
//
// What differs between architectures is in runtime/ARCHITECTURE, the same names in each; the build
// chooses the folder: board.h, guest.h, registers.h, wiring.h.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "husk/seam.h"
#include "husk/types.h"

#include "base/clock.h"
#include "base/try.h"
#include "board.h"
#include "guest.h"
#include "registers.h"
#include "runtime/debug_gate.h"
#include "runtime/doorbells.h"
#include "runtime/irqfds.h"
#include "runtime/machine_state.h"
#include "runtime/run_loop.h"
#include "runtime/vcpu_state_bytes.h"
#include "wiring.h"

namespace husk::runtime {

// Not thread-safe, but for end().
class MachineRun {
 public:
  virtual ~MachineRun() = default;

  [[nodiscard]] MachineEnd& end() { return end_; }
  [[nodiscard]] DebugGate& debug() { return debug_; }
  [[nodiscard]] virtual Board& board() = 0;
  // Loads a kernel and gives the boot vCPU its state. Before start().
  [[nodiscard]] virtual Result<LoadedKernel> load(const KernelRequest& request) = 0;
  // `finished` is called once, on the last vCPU thread to leave, when no other thread of the run
  // does anything to the guest any more. After an error no thread was started.
  [[nodiscard]] virtual Result<void> start(std::function<void()> finished) = 0;
  // Returns once every vCPU thread has left.
  virtual void join() = 0;
  // False: not within `timeout_ns`, and the guest runs on.
  [[nodiscard]] virtual bool pause(uint64_t timeout_ns) = 0;
  virtual void resume() = 0;

  // While paused.
  [[nodiscard]] virtual Result<NativeRegisters> registers(uint32_t vcpu) = 0;
  [[nodiscard]] virtual Result<void> set_registers(uint32_t vcpu,
                                                   const NativeRegisters& registers) = 0;
  [[nodiscard]] virtual Result<VcpuSnapshot> capture(uint32_t vcpu) = 0;
  [[nodiscard]] virtual Result<void> restore(uint32_t vcpu, const VcpuSnapshot& snapshot) = 0;
  [[nodiscard]] virtual Result<NativeState> state(uint32_t vcpu) = 0;
  [[nodiscard]] virtual Result<void> set_state(uint32_t vcpu, const NativeState& state) = 0;
  [[nodiscard]] virtual Result<void> set_debug(uint32_t vcpu, const DebugOptions& options) = 0;
  // All but memory.
  [[nodiscard]] virtual Result<MachineState> capture_machine() = 0;

  // In place of load(), for a machine of the same shape whose memory is the captured one's. After
  // an error the run is good for nothing.
  [[nodiscard]] virtual Result<void> restore_machine(const MachineState& state) = 0;

  // Also while it runs.
  [[nodiscard]] virtual Result<void> register_irqfd(uint32_t gsi, int eventfd, int resample) = 0;
  [[nodiscard]] virtual Result<void> unregister_irqfd(uint32_t gsi, int eventfd) = 0;

 protected:
  MachineEnd end_;
  DebugGate debug_{end_};
};

template <seam::HypervisorVm Vm>
class MachineRunOn final : public MachineRun {
 public:
  // `memory` and `serial_output` outlive the run.
  [[nodiscard]] static Result<std::unique_ptr<MachineRun>> create(
      const BoardOptions& options, memory::GuestMemory& memory, contract::ByteSink& serial_output);
  ~MachineRunOn() override {
    end_.reach(EndReason::kStopped, 0);
    join();
  }
  MachineRunOn(const MachineRunOn&) = delete;
  MachineRunOn& operator=(const MachineRunOn&) = delete;

  Board& board() override { return *board_; }
  Result<LoadedKernel> load(const KernelRequest& request) override;
  Result<void> start(std::function<void()> finished) override;
  void join() override;
  bool pause(uint64_t timeout_ns) override;
  void resume() override;

  Result<NativeRegisters> registers(uint32_t vcpu) override;
  Result<void> set_registers(uint32_t vcpu, const NativeRegisters& registers) override;
  Result<VcpuSnapshot> capture(uint32_t vcpu) override;
  Result<void> restore(uint32_t vcpu, const VcpuSnapshot& snapshot) override;
  Result<NativeState> state(uint32_t vcpu) override;
  Result<void> set_state(uint32_t vcpu, const NativeState& state) override;
  Result<void> set_debug(uint32_t vcpu, const DebugOptions& options) override;
  Result<MachineState> capture_machine() override;
  Result<void> restore_machine(const MachineState& state) override;
  Result<void> register_irqfd(uint32_t gsi, int eventfd, int resample) override {
    return runtime::register_irqfd(*vm_, gsi, eventfd, resample);
  }
  Result<void> unregister_irqfd(uint32_t gsi, int eventfd) override {
    return runtime::unregister_irqfd(*vm_, gsi, eventfd);
  }

 private:
  using Vcpu = typename Vm::Vcpu;

  MachineRunOn() = default;
  void kick();
  // Devices whose host's side has threads of its own leave guest memory alone until they go on.
  void hold_devices();
  // Calls `use` with the vCPU, on its own thread, where it waits for the end of the pause.
  template <class T>
  Result<T> on_vcpu(uint32_t id, const std::function<Result<T>(Vcpu&)>& use);

  std::unique_ptr<Vm> vm_;
  std::unique_ptr<Board> board_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
  std::unique_ptr<DoorbellThread> doorbells_;  // null: every notification is an exit
  bool restored_ = false;
  std::vector<std::thread> threads_;
  std::atomic<size_t> running_{0};
};

template <seam::HypervisorVm Vm>
Result<std::unique_ptr<MachineRun>> MachineRunOn<Vm>::create(const BoardOptions& options,
                                                             memory::GuestMemory& memory,
                                                             contract::ByteSink& serial_output) {
  std::unique_ptr<MachineRunOn> run(new MachineRunOn);
  auto vm = make_vm<Vm>(options.vcpus, options.cpu_model, options.kernel_irqchip);
  if (!vm) return std::unexpected(vm.error());
  run->vm_ = std::move(*vm);
  Vm* raw = run->vm_.get();
  auto board = wire_board(*raw, options, memory, run->end_, serial_output);
  if (!board) return std::unexpected(board.error());
  run->board_ = std::move(*board);
  raw->attach_memory(memory);
  for (const memory::Region& region : memory.regions()) {
    auto mapped =
        raw->map_ram(region.host, region.start.value, region.size, seam::Prot::kReadWriteExec);
    if (!mapped) return std::unexpected(mapped.error());
  }
  for (uint32_t id = 0; id < options.vcpus; ++id) {
    auto vcpu = raw->create_vcpu(id);
    if (!vcpu) return std::unexpected(vcpu.error());
    run->vcpus_.push_back(std::move(*vcpu));
  }
  run->end_.set_kick([self = run.get()] { self->kick(); });
  return run;
}

template <seam::HypervisorVm Vm>
void MachineRunOn<Vm>::kick() {
  std::vector<typename Vcpu::Handle> handles;
  for (const auto& vcpu : vcpus_) handles.push_back(vcpu->exit_token());
  Vcpu::Handle::force_exit(handles);
}

template <seam::HypervisorVm Vm>
Result<LoadedKernel> MachineRunOn<Vm>::load(const KernelRequest& request) {
  auto loaded = board_->load(request);
  if (!loaded) return loaded;
  auto restored = vcpus_.front()->restore_snapshot(loaded->entry);
  if (!restored) return std::unexpected(restored.error());
  return loaded;
}

template <seam::HypervisorVm Vm>
Result<void> MachineRunOn<Vm>::start(std::function<void()> finished) {
  auto doorbells = hang_doorbells(*vm_, board_->virtio());
  if (!doorbells) return std::unexpected(doorbells.error());
  doorbells_ = std::move(*doorbells);
  if (doorbells_ != nullptr) doorbells_->start();
  if (restored_) {
    for (const VirtioSlot& slot : board_->virtio()) {
      slot.transport->go_on();
      slot.transport->have_all_queues_looked_at();
    }
  }
  running_ = vcpus_.size();
  for (uint32_t id = 0; id < vcpus_.size(); ++id)
    threads_.emplace_back([this, id, finished] {
      run_vcpu(*vcpus_[id], id, board_->ports(), board_->mmio(), end_, debug_);
      if (--running_ != 0) return;
      // What the guest notified before its end is served, as it would have been within an exit.
      if (doorbells_ != nullptr) doorbells_->finish();
      hold_devices();
      finished();
    });
  return {};
}

template <seam::HypervisorVm Vm>
void MachineRunOn<Vm>::hold_devices() {
  for (const VirtioSlot& slot : board_->virtio()) slot.transport->hold();
}

// First the vCPUs: then nobody rings any more, and the doorbells' thread ends what it is at.
template <seam::HypervisorVm Vm>
bool MachineRunOn<Vm>::pause(uint64_t timeout_ns) {
  const uint64_t start = base::monotonic_ns();
  if (!end_.pause(static_cast<uint32_t>(vcpus_.size()), timeout_ns)) return false;
  const uint64_t spent = base::monotonic_ns() - start;
  if (doorbells_ == nullptr || doorbells_->park(timeout_ns - std::min(spent, timeout_ns))) {
    hold_devices();
    return true;
  }
  end_.resume();
  return false;
}

template <seam::HypervisorVm Vm>
void MachineRunOn<Vm>::resume() {
  for (const VirtioSlot& slot : board_->virtio()) slot.transport->go_on();
  if (doorbells_ != nullptr) doorbells_->unpark();
  end_.resume();
}

template <seam::HypervisorVm Vm>
void MachineRunOn<Vm>::join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

template <seam::HypervisorVm Vm>
template <class T>
Result<T> MachineRunOn<Vm>::on_vcpu(uint32_t id, const std::function<Result<T>(Vcpu&)>& use) {
  Result<T> result = fail(ErrorKind::kState, "VM", "has ended");
  end_.run_parked(id, [&] { result = use(*vcpus_[id]); });
  return result;
}

template <seam::HypervisorVm Vm>
Result<NativeRegisters> MachineRunOn<Vm>::registers(uint32_t id) {
  return on_vcpu<NativeRegisters>(id, [](Vcpu& vcpu) { return get_registers(vcpu); });
}

template <seam::HypervisorVm Vm>
Result<void> MachineRunOn<Vm>::set_registers(uint32_t id, const NativeRegisters& registers) {
  return on_vcpu<void>(id, [&](Vcpu& vcpu) { return runtime::set_registers(vcpu, registers); });
}

template <seam::HypervisorVm Vm>
Result<VcpuSnapshot> MachineRunOn<Vm>::capture(uint32_t id) {
  return on_vcpu<VcpuSnapshot>(id, [&](Vcpu& vcpu) { return capture_vcpu(id, vcpu); });
}

template <seam::HypervisorVm Vm>
Result<void> MachineRunOn<Vm>::restore(uint32_t id, const VcpuSnapshot& snapshot) {
  return on_vcpu<void>(id, [&](Vcpu& vcpu) { return restore_vcpu(id, vcpu, snapshot); });
}

template <seam::HypervisorVm Vm>
Result<NativeState> MachineRunOn<Vm>::state(uint32_t id) {
  return on_vcpu<NativeState>(id, [](Vcpu& vcpu) { return vcpu.capture_snapshot(); });
}

template <seam::HypervisorVm Vm>
Result<void> MachineRunOn<Vm>::set_state(uint32_t id, const NativeState& state) {
  return on_vcpu<void>(id, [&](Vcpu& vcpu) { return vcpu.restore_snapshot(state); });
}

template <seam::HypervisorVm Vm>
Result<void> MachineRunOn<Vm>::set_debug(uint32_t id, const DebugOptions& options) {
  return on_vcpu<void>(id, [&](Vcpu& vcpu) -> Result<void> {
    if constexpr (seam::HasDebug<Vcpu>) return vcpu.set_debug(options);
    return fail(ErrorKind::kUnsupported, "VM", "its backend does not stop for a debugger");
  });
}

// The clock with the first vCPU: the others' are captured a moment later.
template <seam::HypervisorVm Vm>
Result<MachineState> MachineRunOn<Vm>::capture_machine() {
  MachineState state;
  for (uint32_t id = 0; id < vcpus_.size(); ++id) {
    const std::function<Result<VcpuSnapshot>(Vcpu&)> take =
        [&](Vcpu& vcpu) -> Result<VcpuSnapshot> {
      const auto captured = HUSK_TRY(vcpu.capture_snapshot());
      if (id == 0) state.clock = Vcpu::capture_clock_ref(captured, Vm::host_monotonic_ticks());
      return describe_state(id, vcpu, captured);
    };
    state.vcpus.push_back(HUSK_TRY(on_vcpu(id, take)));
  }
  state.interrupt_controller = HUSK_TRY(vm_->capture_intc());
  state.chips = capture_chips(*board_);
  return state;
}

template <seam::HypervisorVm Vm>
Result<void> MachineRunOn<Vm>::restore_machine(const MachineState& state) {
  if (state.vcpus.size() != vcpus_.size())
    return fail(ErrorKind::kInvalidArgument, "snapshot",
                "has " + std::to_string(state.vcpus.size()) + " vCPUs, the machine " +
                    std::to_string(vcpus_.size()));
  HUSK_TRY(vm_->restore_intc(state.interrupt_controller));
  hold_devices();  // until start(): the guest's memory is as it was
  HUSK_TRY(restore_chips(*board_, state.chips));
  for (uint32_t id = 0; id < vcpus_.size(); ++id)
    HUSK_TRY(restore_vcpu(id, *vcpus_[id], state.vcpus[id]));
  const uint64_t now = Vm::host_monotonic_ticks();
  for (const auto& vcpu : vcpus_) vcpu->restore_clock(state.clock, now);
  HUSK_TRY(board_->renew_generation());
  restored_ = true;
  return {};
}

}  // namespace husk::runtime
