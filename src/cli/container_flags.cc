#include "cli/container_flags.h"

#include "base/try.h"
#include "cli/cpu_flag.h"
#include "cli/machine_options.h"
#include "cli/size.h"
#include "runtime/hypervisor.h"

namespace husk::cli {
namespace {

constexpr uint64_t kLeastMemory = uint64_t{96} << 20;

}  // namespace

void add_container_flags(CLI::App& verb, ContainerFlags& flags,
                         runtime::ContainerOptions& container) {
  verb.add_option("--memory,-m", flags.memory, "Memory, such as 512M")->capture_default_str();
  verb.add_option("--cpus", container.vcpus, "Number of vCPUs")->capture_default_str();
  add_cpu_flag(verb, flags.cpu_model);
  add_cpu_mode_flag(verb, flags.cpu_mode);
  verb.add_option("--kernel", container.kernel, "Guest kernel instead of the default one");
  verb.add_option("--backend", container.backend, "What runs the machine")
      ->check(CLI::IsMember(runtime::backend_names()));
  add_kernel_irqchip(verb, container.kernel_irqchip);
}

Result<void> resolve(const ContainerFlags& flags, runtime::ContainerOptions& container) {
  container.memory_bytes = HUSK_TRY(parse_memory(flags.memory, kLeastMemory));
  if (container.vcpus < 1 || container.vcpus > 64)
    return fail(ErrorKind::kInvalidArgument, "--cpus", "must be 1 to 64");
  container.cpu_model = HUSK_TRY(parse_cpu_flag(flags.cpu_model));
  return apply_cpu_mode(flags.cpu_mode);
}

}  // namespace husk::cli
