// A machine: a backend's VM on a board, with a thread for each vCPU. The backend is chosen at
// compile time; see Machine's alias at the end for what this build offers.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "backend/soft/soft_vm.h"
#include "runtime/board.h"
#include "runtime/run_loop.h"

namespace husk::runtime {

template <seam::HypervisorVm Vm>
class BasicMachine {
 public:
  // Builds everything but the kernel. `serial_output` outlives the machine.
  [[nodiscard]] static Result<std::unique_ptr<BasicMachine>> create(
      const BoardOptions& options, contract::ByteSink& serial_output);
  ~BasicMachine() { stop(); }
  BasicMachine(const BasicMachine&) = delete;
  BasicMachine& operator=(const BasicMachine&) = delete;

  [[nodiscard]] Board& board() { return *board_; }
  [[nodiscard]] MachineEnd& end() { return end_; }
  // Loads a kernel and gives the boot vCPU its state. Before start().
  [[nodiscard]] Result<boot::LoadedKernel> load(const boot::KernelRequest& request);
  void start();
  // Returns once every vCPU thread has.
  void join();
  void stop() {
    end_.reach(EndReason::kStopped, 0);
    join();
  }
  void pause() { end_.pause(static_cast<uint32_t>(vcpus_.size())); }
  void resume() { end_.resume(); }

 private:
  BasicMachine() = default;
  void kick();

  MachineEnd end_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<Board> board_;
  std::vector<std::unique_ptr<typename Vm::Vcpu>> vcpus_;
  std::vector<std::thread> threads_;
};

template <seam::HypervisorVm Vm>
Result<std::unique_ptr<BasicMachine<Vm>>> BasicMachine<Vm>::create(
    const BoardOptions& options, contract::ByteSink& serial_output) {
  std::unique_ptr<BasicMachine> machine(new BasicMachine);
  auto vm = Vm::create(options.vcpus);
  if (!vm) return std::unexpected(vm.error());
  machine->vm_ = std::move(*vm);
  Vm* raw = machine->vm_.get();
  auto board = Board::create(
      options, machine->end_, [raw](uint32_t gsi) { return raw->irq_line(gsi); },
      raw->interrupt_sink(), serial_output);
  if (!board) return std::unexpected(board.error());
  machine->board_ = std::move(*board);
  raw->attach_controller(machine->board_->chipset());
  raw->attach_dirty_log(machine->board_->memory());
  for (const memory::Region& region : machine->board_->memory().regions()) {
    auto mapped =
        raw->map_ram(region.host, region.start.value, region.size, seam::Prot::kReadWriteExec);
    if (!mapped) return std::unexpected(mapped.error());
  }
  for (uint32_t id = 0; id < options.vcpus; ++id) {
    auto vcpu = raw->create_vcpu(id);
    if (!vcpu) return std::unexpected(vcpu.error());
    machine->vcpus_.push_back(std::move(*vcpu));
  }
  machine->end_.set_kick([self = machine.get()] { self->kick(); });
  return machine;
}

template <seam::HypervisorVm Vm>
void BasicMachine<Vm>::kick() {
  std::vector<typename Vm::Vcpu::Handle> handles;
  for (const auto& vcpu : vcpus_) handles.push_back(vcpu->exit_token());
  Vm::Vcpu::Handle::force_exit(handles);
}

template <seam::HypervisorVm Vm>
Result<boot::LoadedKernel> BasicMachine<Vm>::load(const boot::KernelRequest& request) {
  auto loaded = board_->load(request);
  if (!loaded) return loaded;
  auto restored = vcpus_.front()->restore_snapshot(loaded->entry);
  if (!restored) return std::unexpected(restored.error());
  return loaded;
}

template <seam::HypervisorVm Vm>
void BasicMachine<Vm>::start() {
  for (const auto& vcpu : vcpus_)
    threads_.emplace_back(
        [this, &vcpu] { run_vcpu(*vcpu, board_->ports(), board_->mmio(), end_); });
}

template <seam::HypervisorVm Vm>
void BasicMachine<Vm>::join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

using Machine = BasicMachine<soft::SoftVm>;

}  // namespace husk::runtime
