#include "all_suites.h"
#include "backend/kvm/x86_64/kvm_vm.h"
#include "backend/kvm/x86_64/probe.h"
#include "cpu_model_suite.h"
#include "kernel_irqchip_vm.h"

namespace husk::contract_tests {

// As KvmVm, with writes noted in rings, which are so small that they fill up.
struct KvmWithRings {
  using Vcpu = kvm::KvmVcpu;
  static Result<std::unique_ptr<kvm::KvmVm>> create(uint32_t vcpus, CpuModel model) {
    return kvm::KvmVm::create(vcpus, {.dirty_ring_entries = 1024, .cpu_model = model});
  }
};

template <>
std::string limits<kvm::KvmVm>() {
  static const auto probed = kvm::probe();
  return probed ? std::string() : probed.error().message();
}

template <>
std::string limits<KvmWithRings>() {
  return limits<kvm::KvmVm>();
}

template <>
std::string limits<KvmWithKernelIrqchip>() {
  return limits<kvm::KvmVm>();
}

INSTANTIATE_TYPED_TEST_SUITE_P(kvm_with_rings, Memory, KvmWithRings);
INSTANTIATE_TYPED_TEST_SUITE_P(kvm, CpuModels, kvm::KvmVm);

}  // namespace husk::contract_tests

HUSK_CONTRACT_SUITES(kvm, husk::kvm::KvmVm);
HUSK_CONTRACT_SUITES(kvm_with_kernel_irqchip, husk::contract_tests::KvmWithKernelIrqchip);
