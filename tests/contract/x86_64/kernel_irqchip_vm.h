// KvmVm with the interrupt controllers and the timer in the kernel, as a type for suites.
#pragma once

#include <memory>

#include "backend/kvm/x86_64/kvm_vm.h"

namespace husk::contract_tests {

struct KvmWithKernelIrqchip {
  using Vcpu = kvm::KvmVcpu;
  static Result<std::unique_ptr<kvm::KvmVm>> create(uint32_t vcpus,
                                                    CpuModel model = CpuModel::kHost) {
    return kvm::KvmVm::create(vcpus, {.cpu_model = model, .irqchip = seam::Irqchip::kKernel});
  }
  static uint64_t host_monotonic_ticks() { return kvm::KvmVm::host_monotonic_ticks(); }
};

}  // namespace husk::contract_tests
