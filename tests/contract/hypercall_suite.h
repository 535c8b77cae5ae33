// Hypercalls: what answers them, and how they come out.
#pragma once

#include "suite.h"

namespace husk::contract_tests {

template <class Vm>
class Hypercalls : public BackendTest<Vm> {
 protected:
  // A KVM without hardware behind it puts another hypercall instruction there, for a processor that
  // never comes, again and again.
  void SetUp() override {
    BackendTest<Vm>::SetUp();
    if (const std::string why = limits<Vm>(); !why.empty()) GTEST_SKIP() << why;
  }
};
TYPED_TEST_SUITE_P(Hypercalls);

TYPED_TEST_P(Hypercalls, AreAnsweredByTheBackendUnlessAskedFor) {
  for (const auto program : {PROGRAM(hypercall), PROGRAM(hypercall_other)}) {
    if (program.empty()) continue;
    Machine<TypeParam> machine;
    for (const uint64_t number : {kHypercall, uint64_t{0xc600'0777}}) {
      machine.load(program, {number});
      EXPECT_EQ(machine.report(), kNotSupported) << number;
    }
  }
}

TYPED_TEST_P(Hypercalls, OfUserCodeAreNotPermitted) {
  Machine<TypeParam> machine;
  machine.load(PROGRAM(hypercall), {kHypercall});
  auto state = machine.vcpu().capture_snapshot();
  ASSERT_TRUE(state) << state.error().message();
  if (!make_user(*state, *machine.memory)) GTEST_SKIP() << "this architecture has no hypercalls of user code";
  const auto restored = machine.vcpu().restore_snapshot(*state);
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(machine.report(), kNotPermitted);
}

// A VM whose hypercalls come out; or why they do not.
template <class Vm>
std::string let_out(Vm& vm) {
  if constexpr (seam::HasHypercalls<Vm>) {
    const auto asked = vm.exit_on_hypercalls(true);
    if (asked) return {};
    EXPECT_EQ(asked.error().kind, ErrorKind::kUnsupported);
    return asked.error().message();
  }
  return "this backend answers all of them itself";
}

TYPED_TEST_P(Hypercalls, ComeOutAndAreAnswered) {
  Machine<TypeParam> machine;
  if (const std::string why = let_out(*machine.vm); !why.empty()) GTEST_SKIP() << why;
  for (const auto program : {PROGRAM(hypercall), PROGRAM(hypercall_other)}) {
    if (program.empty()) continue;
    machine.load(program, {kHypercall, 11, 22, 1});
    for (const uint64_t answer : {uint64_t{0}, uint64_t{0x1234'5678'9abc}, kNotSupported}) {
      const seam::VcpuExit exit = machine.next();
      ASSERT_EQ(exit.kind, seam::VcpuExit::Kind::kHypercall) << exit.raw;
      EXPECT_EQ(exit.data, kHypercall);
      EXPECT_EQ(*machine.vcpu().get_core(kArguments[1]), 11U) << "arguments are in registers";
      EXPECT_EQ(*machine.vcpu().get_core(kArguments[2]), 22U);
      machine.vcpu().set_read_data(answer);
      EXPECT_EQ(machine.report(), answer);
    }
  }
}

TYPED_TEST_P(Hypercalls, ThatNobodyHasAnsweredAreAskedAgain) {
  Machine<TypeParam> machine;
  if (const std::string why = let_out(*machine.vm); !why.empty()) GTEST_SKIP() << why;
  machine.load(PROGRAM(hypercall), {kHypercall, 11, 22, 1});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(machine.next().kind, seam::VcpuExit::Kind::kHypercall);
    const auto early = machine.vcpu().capture_snapshot();
    ASSERT_FALSE(early) << "nobody knows yet what it returns";
    EXPECT_EQ(early.error().kind, ErrorKind::kState);
  }
  machine.vcpu().set_read_data(77);
  const auto captured = machine.vcpu().capture_snapshot();
  ASSERT_TRUE(captured) << captured.error().message();
  EXPECT_EQ(machine.report(), 77U);
  ASSERT_TRUE(machine.vcpu().restore_snapshot(*captured));
  EXPECT_EQ(machine.report(), 77U) << "the answer is part of the state";
}

REGISTER_TYPED_TEST_SUITE_P(Hypercalls, AreAnsweredByTheBackendUnlessAskedFor,
                            OfUserCodeAreNotPermitted, ComeOutAndAreAnswered,
                            ThatNobodyHasAnsweredAreAskedAgain);

}  // namespace husk::contract_tests
