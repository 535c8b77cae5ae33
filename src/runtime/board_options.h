// What a board can be asked for, whatever the architecture.
#pragma once

#include <cstdint>

#include "husk/cpu_model.h"

namespace husk::runtime {

struct BoardOptions {
  uint32_t vcpus = 1;
  CpuModel cpu_model = CpuModel::kHost;
  bool kernel_irqchip = false;  // see machine::VmConfig
  bool debug_exit = false;      // QEMU's isa-debug-exit at 0xf4
  bool test_device = false;     // QEMU's pc-testdev
};

}  // namespace husk::runtime
