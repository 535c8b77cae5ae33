// Every suite of the contract, for a backend's VM.
#pragma once

#include "debug_suite.h"
#include "exits_suite.h"
#include "force_exit_suite.h"
#include "hypercall_suite.h"
#include "memory_suite.h"
#include "state_suite.h"

#define HUSK_CONTRACT_SUITES(name, Vm)                  \
  namespace husk::contract_tests {                      \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, Exits, Vm);      \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, Memory, Vm);     \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, State, Vm);      \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, ForceExit, Vm);  \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, Debug, Vm);      \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, Hypercalls, Vm); \
  }                                                     \
  static_assert(true)
