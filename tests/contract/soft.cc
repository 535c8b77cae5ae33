#include "all_suites.h"
#include "backend/soft/soft_vm.h"
#include "cpu_model_suite.h"

template <>
std::string husk::contract_tests::limits<husk::soft::SoftVm>() {
  return {};
}

namespace husk::contract_tests {
INSTANTIATE_TYPED_TEST_SUITE_P(soft, CpuModels, soft::SoftVm);
}

HUSK_CONTRACT_SUITES(soft, husk::soft::SoftVm);
