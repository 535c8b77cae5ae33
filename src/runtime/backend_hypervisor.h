// A Hypervisor over a backend's VM type: the same checks and the same machine for each of them.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "husk/machine.h"

#include "base/try.h"
#include "runtime/managed_machine.h"
#include "runtime/manual_machine.h"

namespace husk::runtime {

template <seam::HypervisorVm Vm>
class BackendHypervisor final : public machine::Hypervisor {
 public:
  // `name` for messages: "the built-in CPU".
  BackendHypervisor(std::string name, host::PlatformCapabilities capabilities)
      : name_(std::move(name)), capabilities_(std::move(capabilities)) {}

  const host::PlatformCapabilities& capabilities() const override { return capabilities_; }

  Result<std::unique_ptr<machine::VirtualMachine>> create_vm(
      const machine::VmConfig& config) override {
    HUSK_TRY(config.validate());
    if (std::ranges::find(capabilities_.supported_archs, config.arch) ==
        capabilities_.supported_archs.end())
      return fail(ErrorKind::kInvalidArgument, "arch",
                  fmt::format("{} is no {}", name_, host::name(config.arch)));
    if (config.vcpu_count > capabilities_.max_vcpus)
      return fail(ErrorKind::kInvalidArgument, "vcpu_count",
                  fmt::format("must be 1 to {}", capabilities_.max_vcpus));
    if (capabilities_.max_memory != 0 && config.memory_size > capabilities_.max_memory)
      return fail(ErrorKind::kInvalidArgument, "memory_size",
                  fmt::format("{} MiB is more than the host's {} MiB", config.memory_size >> 20,
                              capabilities_.max_memory >> 20));
    HUSK_TRY(Vm::can_show(config.cpu_model));
    if (config.nested_virtualization)
      return fail(ErrorKind::kUnsupported, "nested_virtualization",
                  fmt::format("nested virtualization is not offered by {}", name_));
    if (config.kernel_irqchip && !kMayKeepIrqchip<Vm>)
      return fail(
          ErrorKind::kUnsupported, "kernel_irqchip",
          fmt::format("{} has no kernel below it that could keep interrupt controllers", name_));
    // Without a kernel there is nothing that start() could run.
    if (!config.kernel_path) return ManualMachine<Vm>::create(config);
    return HUSK_TRY(ManagedMachine::create(config, MachineRunOn<Vm>::create));
  }

 private:
  std::string name_;
  host::PlatformCapabilities capabilities_;
};

}  // namespace husk::runtime
