#include "all_suites.h"
#include "backend/kvm/x86_64/kvm_vm.h"
#include "backend/kvm/x86_64/probe.h"

template <>
std::string husk::contract_tests::limits<husk::kvm::KvmVm>() {
  static const auto probed = husk::kvm::probe();
  return probed ? std::string() : probed.error().message();
}

HUSK_CONTRACT_SUITES(kvm, husk::kvm::KvmVm);
