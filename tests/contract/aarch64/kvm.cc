#include "all_suites.h"
#include "backend/kvm/aarch64/kvm_vm.h"

// A KVM of this architecture has a processor behind it, or there is none.
template <>
std::string husk::contract_tests::limits<husk::kvm::KvmVm>() {
  return {};
}

HUSK_CONTRACT_SUITES(kvm, husk::kvm::KvmVm);
