// How the board and a backend's VM of x86-64 come together.
#pragma once

#include <memory>

#include "husk/seam.h"

#include "board.h"

namespace husk::runtime {

template <seam::HypervisorVm Vm>
Result<std::unique_ptr<Board>> wire_board(Vm& vm, const BoardOptions& options,
                                          memory::GuestMemory& memory, MachineEnd& end,
                                          contract::ByteSink& serial_output) {
  auto board = Board::create(
      options, memory, end, [&vm](uint32_t gsi) { return vm.irq_line(gsi); }, &vm.interrupt_sink(),
      serial_output);
  if (board) vm.attach_controller(*(*board)->chipset());
  return board;
}

}  // namespace husk::runtime
