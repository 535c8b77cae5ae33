// The built-in CPU as a hypervisor.
#include <fmt/core.h>

#include <algorithm>

#include "backend/soft/soft_vm.h"
#include "base/try.h"
#include "runtime/backend.h"
#include "runtime/managed_machine.h"

namespace husk::runtime {
namespace {

host::PlatformCapabilities soft_capabilities() {
  host::PlatformCapabilities capabilities;
  capabilities.supported_archs = {CpuArch::kX86_64};
  capabilities.max_vcpus = soft::mmu::PhysicalMap::kMaxVcpus;
  capabilities.max_memory = host::host_memory_size();
  return capabilities;
}

class SoftHypervisor final : public machine::Hypervisor {
 public:
  const host::PlatformCapabilities& capabilities() const override { return capabilities_; }

  Result<std::unique_ptr<machine::VirtualMachine>> create_vm(
      const machine::VmConfig& config) override {
    HUSK_TRY(config.validate());
    if (std::ranges::find(capabilities_.supported_archs, config.arch) ==
        capabilities_.supported_archs.end())
      return fail(ErrorKind::kInvalidArgument, "arch",
                  fmt::format("the built-in CPU is no {}", host::name(config.arch)));
    if (config.vcpu_count > capabilities_.max_vcpus)
      return fail(ErrorKind::kInvalidArgument, "vcpu_count",
                  fmt::format("must be 1 to {}", capabilities_.max_vcpus));
    if (capabilities_.max_memory != 0 && config.memory_size > capabilities_.max_memory)
      return fail(ErrorKind::kInvalidArgument, "memory_size",
                  fmt::format("{} MiB is more than the host's {} MiB", config.memory_size >> 20,
                              capabilities_.max_memory >> 20));
    return HUSK_TRY(ManagedMachine::create(config, MachineRunOn<soft::SoftVm>::create));
  }

 private:
  host::PlatformCapabilities capabilities_ = soft_capabilities();
};

Result<std::string> probe() { return "the built-in x86-64 CPU; needs nothing from the host"; }

Result<std::unique_ptr<machine::Hypervisor>> open() { return std::make_unique<SoftHypervisor>(); }

}  // namespace

extern const Backend soft_backend;
const Backend soft_backend{"soft", probe, open};

}  // namespace husk::runtime
