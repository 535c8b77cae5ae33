// The fixture of every suite here. A suite is type-parameterised by a backend's VM; soft.cc and
// ARCH/kvm.cc say which backends there are by instantiating all of them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "machine.h"

namespace husk::contract_tests {

// Why this host's backend cannot execute every instruction; "" when it can.
template <class Vm>
std::string limits();

template <class Vm>
class BackendTest : public ::testing::Test {
 protected:
  void SetUp() override {
    static const std::string reason = [] {
      const auto vm = Vm::create(1, CpuModel::kHost);
      return vm ? std::string() : vm.error().message();
    }();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
};

}  // namespace husk::contract_tests
