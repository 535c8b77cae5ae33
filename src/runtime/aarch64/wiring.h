// How the board and a backend's VM of aarch64 come together. The GIC is the VM's.
#pragma once

#include <memory>

#include "husk/seam.h"

#include "board.h"

namespace husk::runtime {

// The GIC is the VM's in any case.
template <seam::HypervisorVm Vm>
constexpr bool kMayKeepIrqchip = true;

template <seam::HypervisorVm Vm>
Result<std::unique_ptr<Vm>> make_vm(uint32_t vcpus, CpuModel cpu_model, bool) {
  return Vm::create(vcpus, cpu_model);
}

template <seam::HypervisorVm Vm>
Result<std::unique_ptr<Board>> wire_board(Vm& vm, const BoardOptions& options,
                                          memory::GuestMemory& memory, MachineEnd&,
                                          contract::ByteSink& serial_output) {
  static_assert(Vm::kGicDistributor == boot::arm64::kGicDistributor);
  static_assert(Vm::kGicRedistributors == boot::arm64::kGicRedistributors);
  static_assert(Vm::kSpis >= boot::arm64::kVirtioFirstSpi + boot::arm64::kMaxVirtioDevices);
  return Board::create(
      options, memory, [&vm](uint32_t spi) { return vm.irq_line(spi); }, serial_output);
}

}  // namespace husk::runtime
