#include "all_suites.h"
#include "backend/soft/soft_vm.h"

template <>
std::string husk::contract_tests::limits<husk::soft::SoftVm>() {
  return {};
}

HUSK_CONTRACT_SUITES(soft, husk::soft::SoftVm);
