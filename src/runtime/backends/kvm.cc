// KVM as a hypervisor, where it is a real one.
#include "kvm_vm.h"  // of the architecture: backend/kvm/...
#include "probe.h"
#include "runtime/backend.h"
#include "runtime/backend_hypervisor.h"

namespace husk::runtime {
namespace {

Result<std::string> probe() {
  static const Result<std::string> answer = kvm::probe();
  return answer;
}

// Whoever asks for it gets it unprobed: one that is emulated is slow, but may be what is wanted.
Result<std::unique_ptr<machine::Hypervisor>> open() {
  const kvm::System system = HUSK_TRY(kvm::System::open());
  HUSK_TRY(kvm::KvmVm::require(system));
  host::PlatformCapabilities capabilities;
  capabilities.supported_archs = {host::native_arch()};
  capabilities.max_vcpus = kvm::KvmVm::most_vcpus(system);
  capabilities.max_memory = host::host_memory_size();
  return std::make_unique<BackendHypervisor<kvm::KvmVm>>("KVM", capabilities);
}

}  // namespace

extern const Backend kvm_backend;
const Backend kvm_backend{"kvm", probe, open, kvm::System::kDevice, kvm::KvmVm::can_show};

}  // namespace husk::runtime
