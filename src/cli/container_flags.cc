#include "cli/container_flags.h"

#include "base/try.h"
#include "runtime/hypervisor.h"

namespace husk::cli {
namespace {

constexpr uint64_t kLeastMemory = uint64_t{96} << 20;

// Its machines may be captured, so what they are shown depends on where they begin.
Result<void> name_the_usual(MachineFlags& flags) {
  if (!flags.cpu_model.empty()) return {};
  flags.backend = HUSK_TRY(runtime::resolve_backend(flags.backend));
  flags.cpu_model = name(HUSK_TRY(runtime::usual_cpu_model(flags.backend)));
  return {};
}

}  // namespace

Result<void> apply(MachineFlags& flags, runtime::ContainerOptions& container) {
  HUSK_TRY(name_the_usual(flags));
  const MachineChoice machine = HUSK_TRY(resolve(flags, kLeastMemory));
  container.memory_bytes = machine.memory_bytes;
  container.vcpus = machine.vcpus;
  container.cpu_model = machine.cpu_model;
  container.backend = flags.backend;
  container.kernel_irqchip = machine.kernel_irqchip;
  return {};
}

}  // namespace husk::cli
