#include "cli/machine_flags.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "husk/host.h"

#include "base/try.h"
#include "cli/size.h"
#include "runtime/hypervisor.h"

namespace husk::cli {
namespace {

constexpr const char* kCpuMode = "HUSK_CPU_MODE";
constexpr uint32_t kMostCpus = 64;

std::string known_models() {
  std::string list;
  for (const CpuModel model : cpu_models(host::native_arch()))
    list += (list.empty() ? "" : ", ") + std::string(name(model));
  return list;
}

Result<CpuModel> parse_model(const std::string& text) {
  if (text.empty()) return CpuModel::kHost;
  const auto model = parse_cpu_model(text);
  const auto known = cpu_models(host::native_arch());
  if (model && std::ranges::find(known, *model) != known.end()) return *model;
  return fail(ErrorKind::kInvalidArgument, "--cpu",
              fmt::format("{} has no {}; it has {}", host::name(host::native_arch()), text,
                          known_models()));
}

Result<void> apply_mode(const std::string& flag) {
  const char* set = std::getenv(kCpuMode);
  const std::string mode = !flag.empty() || set == nullptr ? flag : set;
  if (!mode.empty() && mode != "jit" && mode != "interp")
    return fail(ErrorKind::kInvalidArgument, "--cpu-mode",
                fmt::format("{} is no mode; there are: jit, interp", mode));
  if (!flag.empty()) ::setenv(kCpuMode, flag.c_str(), 1);
  return {};
}

}  // namespace

void add_machine_flags(Verb& verb, MachineFlags& flags) {
  verb.option("--memory,-m", flags.memory, "Memory, such as 512M")
      .option("--cpus", flags.cpus, "Number of vCPUs")
      .option("--cpu", flags.cpu_model,
              "Processor that the guest is shown: " + known_models() +
                  "; if not given, host, but of run on the built-in CPU x86-64-v2")
      .option("--cpu-mode", flags.cpu_mode,
              "How the built-in CPU works: jit translates hot code, interp does not; else by "
              "HUSK_CPU_MODE")
      .choice("--backend", flags.backend, runtime::backend_names(), "What runs the machine")
      .choice("--kernel-irqchip", flags.irqchip, {"on", "split"},
              "Interrupt controllers and timer in the kernel: on, or split (KVM on x86-64)");
}

Result<MachineChoice> resolve(const MachineFlags& flags, uint64_t least_memory) {
  if (flags.cpus < 1 || flags.cpus > kMostCpus)
    return fail(ErrorKind::kInvalidArgument, "--cpus", fmt::format("must be 1 to {}", kMostCpus));
  HUSK_TRY(apply_mode(flags.cpu_mode));
  return MachineChoice{.memory_bytes = HUSK_TRY(parse_memory(flags.memory, least_memory)),
                       .vcpus = flags.cpus,
                       .cpu_model = HUSK_TRY(parse_model(flags.cpu_model)),
                       .kernel_irqchip = flags.irqchip == "on"};
}

}  // namespace husk::cli
