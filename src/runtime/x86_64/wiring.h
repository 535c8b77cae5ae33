// How the board and a backend's VM of x86-64 come together.
#pragma once

#include <memory>

#include "husk/seam.h"

#include "board.h"

namespace husk::runtime {

// Whether machines of such VMs can have their interrupt controllers and timer in the kernel.
template <seam::HypervisorVm Vm>
constexpr bool kMayKeepIrqchip = seam::HasIrqchipChoice<Vm>;

template <seam::HypervisorVm Vm>
Result<std::unique_ptr<Vm>> make_vm(uint32_t vcpus, CpuModel cpu_model, bool kernel_irqchip) {
  if constexpr (seam::HasIrqchipChoice<Vm>) {
    typename Vm::Options options;
    options.cpu_model = cpu_model;
    if (kernel_irqchip) options.irqchip = seam::Irqchip::kKernel;
    return Vm::create(vcpus, options);
  } else {
    return Vm::create(vcpus, cpu_model);
  }
}

// Null: `vm` keeps the interrupt controllers itself.
template <seam::HypervisorVm Vm>
contract::InterruptSink* sink_of(Vm& vm) {
  if constexpr (seam::HasIrqchipChoice<Vm>) {
    if (vm.irqchip() == seam::Irqchip::kKernel) return nullptr;
  }
  return &vm.interrupt_sink();
}

template <seam::HypervisorVm Vm>
Result<std::unique_ptr<Board>> wire_board(Vm& vm, const BoardOptions& options,
                                          memory::GuestMemory& memory, MachineEnd& end,
                                          contract::ByteSink& serial_output) {
  auto board = Board::create(
      options, memory, end, [&vm](uint32_t gsi) { return vm.irq_line(gsi); }, sink_of(vm),
      serial_output);
  if (board && (*board)->chipset() != nullptr) vm.attach_controller(*(*board)->chipset());
  return board;
}

}  // namespace husk::runtime
