// The built-in CPU as a hypervisor.
#include "backend/soft/interp/known_code.h"
#include "backend/soft/soft_vm.h"
#include "runtime/backend.h"
#include "runtime/backend_hypervisor.h"

namespace husk::runtime {
namespace {

Result<std::string> probe() { return "the built-in x86-64 CPU; needs nothing from the host"; }

Result<std::unique_ptr<machine::Hypervisor>> open() {
  host::PlatformCapabilities capabilities;
  capabilities.supported_archs = {CpuArch::kX86_64};
  capabilities.max_vcpus = soft::mmu::PhysicalMap::kMaxVcpus;
  capabilities.max_memory = host::host_memory_size();
  return std::make_unique<BackendHypervisor<soft::SoftVm>>("the built-in CPU", capabilities);
}

void learn_code(bool on) { soft::interp::KnownCode::of_process().learn(on); }

}  // namespace

extern const Backend soft_backend;
// A machine that begins on a host without KVM can then go on under KVM.
const Backend soft_backend{"soft",    probe, open, "", soft::SoftVm::can_show, CpuModel::kX86_64V2,
                           learn_code};

}  // namespace husk::runtime
