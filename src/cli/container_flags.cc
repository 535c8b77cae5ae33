#include "cli/container_flags.h"

#include "base/try.h"

namespace husk::cli {
namespace {

constexpr uint64_t kLeastMemory = uint64_t{96} << 20;

}  // namespace

Result<void> apply(const MachineFlags& flags, runtime::ContainerOptions& container) {
  const MachineChoice machine = HUSK_TRY(resolve(flags, kLeastMemory));
  container.memory_bytes = machine.memory_bytes;
  container.vcpus = machine.vcpus;
  container.cpu_model = machine.cpu_model;
  container.backend = flags.backend;
  container.kernel_irqchip = machine.kernel_irqchip;
  return {};
}

}  // namespace husk::cli
