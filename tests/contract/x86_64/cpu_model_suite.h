// The processor that a guest is shown: what it reads by CPUID, what of its registers it can use,
// and where its state may go on.
#pragma once

#include <gmock/gmock.h>

#include "contract/x86/cpu_features.h"
#include "contract/x86/cpu_model.h"
#include "suite.h"

namespace husk::contract_tests {

using contract::x86::CpuidTable;
using contract::x86::FeatureWord;
using contract::x86::Level;
using ::testing::HasSubstr;

template <class Vm>
class CpuModels : public BackendTest<Vm> {
 protected:
  // Why this host cannot show the model; "" when it can.
  static std::string missing(CpuModel model) {
    const auto can = Vm::can_show(model);
    return can ? std::string() : can.error().message();
  }
};
TYPED_TEST_SUITE_P(CpuModels);

// What a guest of vCPU 0 reads.
template <class Vm>
std::array<uint32_t, 4> guest_cpuid(Machine<Vm>& machine, uint32_t leaf, uint32_t subleaf) {
  machine.load(PROGRAM(cpuid), {kData});
  EXPECT_TRUE(machine.vcpu().set_core(CoreReg::x(0), leaf));
  EXPECT_TRUE(machine.vcpu().set_core(CoreReg::x(1), subleaf));
  const seam::VcpuExit exit = machine.next();
  EXPECT_EQ(exit.kind, seam::VcpuExit::Kind::kIo) << "raw " << exit.raw;
  std::array<uint32_t, 4> regs{};
  EXPECT_TRUE(machine.memory->read(Gpa{kData}, std::as_writable_bytes(std::span(regs))));
  return regs;
}

// The bits of a register that every guest of the level sees, and those that it may see.
inline uint32_t needed_bits(const FeatureWord& at, Level level) {
  uint32_t bits = 0;
  for (const auto& feature : contract::x86::features()) {
    if (feature.word == at && feature.level <= level) bits |= uint32_t{1} << feature.bit;
  }
  return bits;
}

template <class Vm>
void expect_exactly(CpuModel model, Level level) {
  Machine<Vm> machine(2, model);
  const auto basic = guest_cpuid(machine, 0, 0)[0],
             extended = guest_cpuid(machine, 0x80000000, 0)[0];
  EXPECT_EQ(basic, 0xdU);
  EXPECT_EQ(extended, 0x80000008U);
  for (const FeatureWord& at : contract::x86::feature_words()) {
    if (at.leaf > extended || (at.leaf < 0x40000000 && at.leaf > basic)) continue;
    const uint32_t seen =
        guest_cpuid(machine, at.leaf, at.subleaf)[at.reg] & ~contract::x86::changing_bits(at);
    const uint32_t needed = needed_bits(at, level) & ~contract::x86::changing_bits(at);
    EXPECT_EQ(needed & ~seen, 0U) << contract::x86::feature_name(at, 0) << " and on: missing";
    EXPECT_EQ(seen & ~contract::x86::allowed_bits(at, level), 0U)
        << contract::x86::feature_name(at, 0) << " and on: too much";
  }
}

TYPED_TEST_P(CpuModels, AGuestOfV2SeesV2AndNothingElse) {
  if (const std::string why = this->missing(CpuModel::kX86_64V2); !why.empty()) GTEST_SKIP() << why;
  expect_exactly<TypeParam>(CpuModel::kX86_64V2, Level::kV2);
}

TYPED_TEST_P(CpuModels, AGuestOfV3SeesV3AndNothingElse) {
  if (const std::string why = this->missing(CpuModel::kX86_64V3); !why.empty()) GTEST_SKIP() << why;
  expect_exactly<TypeParam>(CpuModel::kX86_64V3, Level::kV3);
}

TYPED_TEST_P(CpuModels, WhatABackendCannotShowIsRefusedByName) {
  for (const CpuModel model : kCpuModels) {
    const std::string why = this->missing(model);
    const auto made = TypeParam::create(1, model);
    EXPECT_EQ(made ? std::string() : made.error().message(), why);
    if (why.empty()) continue;
    EXPECT_THAT(why, HasSubstr("cannot show a guest " + std::string(name(model)) + ": it has no "));
  }
  EXPECT_EQ(this->missing(CpuModel::kHost), "");
}

// A guest of v2 has no XSAVE, so the switch in CR4 faults, and with no handler that is the end.
TYPED_TEST_P(CpuModels, ExtendedStateIsTheModels) {
  if (const std::string why = limits<TypeParam>(); !why.empty()) GTEST_SKIP() << why;
  if (const std::string why = this->missing(CpuModel::kX86_64V2); !why.empty()) GTEST_SKIP() << why;
  Machine<TypeParam> machine(1, CpuModel::kX86_64V2);
  machine.load(PROGRAM(set_xcr0), {3});
  EXPECT_EQ(machine.next().kind, seam::VcpuExit::Kind::kShutdown);
  if (!this->missing(CpuModel::kX86_64V3).empty()) return;
  Machine<TypeParam> newer(1, CpuModel::kX86_64V3);
  newer.load(PROGRAM(set_xcr0), {7});
  EXPECT_EQ(newer.report(), 7U);
  newer.load(PROGRAM(set_xcr0), {0xe7});
  EXPECT_EQ(newer.next().kind, seam::VcpuExit::Kind::kShutdown) << "AVX-512";
}

// By states, as an emulated SVM may not tell KVM of a guest's XSETBV.
TYPED_TEST_P(CpuModels, ExtendedStateIsKeptAndCutToTheModel) {
  for (const auto& [model, most] :
       {std::pair(CpuModel::kX86_64V2, 1), std::pair(CpuModel::kX86_64V3, 7)}) {
    if (!this->missing(model).empty()) continue;
    Machine<TypeParam> machine(1, model);
    machine.load(PROGRAM(spin));
    auto state = *machine.vcpu().capture_snapshot();
    state.xcr0 = static_cast<uint64_t>(most);
    ASSERT_TRUE(machine.vcpu().restore_snapshot(state)) << name(model);
    state = *machine.vcpu().capture_snapshot();
    EXPECT_EQ(state.xcr0, static_cast<uint64_t>(most));
    EXPECT_EQ(state.xsave.size(), most == 7 ? 320U : 0U);
    state.xcr0 = most == 7 ? 0xe7 : 7;
    EXPECT_FALSE(machine.vcpu().restore_snapshot(state)) << name(model);
  }
}

TYPED_TEST_P(CpuModels, AStateTellsWhatItsGuestWasShown) {
  for (const CpuModel model : kCpuModels) {
    if (!this->missing(model).empty()) continue;
    Machine<TypeParam> machine(1, model);
    machine.load(PROGRAM(spin));
    const auto state = machine.vcpu().capture_snapshot();
    ASSERT_TRUE(state) << state.error().message();
    EXPECT_EQ(state->cpu_model, model);
    const auto one = guest_cpuid(machine, 1, 0);
    EXPECT_EQ(one[0], contract::x86::word(state->cpuid, 1, 0, contract::x86::kEax));
    EXPECT_EQ(one[1], contract::x86::word(state->cpuid, 1, 0, contract::x86::kEbx));
    if (contract::x86::xsave_rest(state->cpuid) == 0) {
      EXPECT_TRUE(state->xsave.empty());
    }
  }
}

// The state of a vCPU of `model`, at the start of the program that reads CPUID.
template <class Vm>
typename Vm::Vcpu::SnapshotState state_of(CpuModel model) {
  Machine<Vm> machine(1, model);
  machine.load(PROGRAM(cpuid), {kData});
  return *machine.vcpu().capture_snapshot();
}

TYPED_TEST_P(CpuModels, AStateIsRefusedWhereSomethingIsMissing) {
  auto state = state_of<TypeParam>(CpuModel::kHost);
  Machine<TypeParam> machine;
  machine.load(PROGRAM(cpuid), {kData});
  const uint32_t amx = 1u << 24 | contract::x86::word(state.cpuid, 7, 0, contract::x86::kEdx);
  state.cpuid.insert(state.cpuid.begin(), {7, 0, true, {0, 0, 0, amx}});
  const auto restored = machine.vcpu().restore_snapshot(state);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(restored.error().message(),
            "the processor of this machine: has no AMX-TILE, which the guest was shown");
  state = state_of<TypeParam>(CpuModel::kHost);
  state.xcr0 = 1u << 18 | 7;
  EXPECT_FALSE(machine.vcpu().restore_snapshot(state)) << "registers that nobody has";
}

TYPED_TEST_P(CpuModels, AHostsGuestDoesNotFitAModelsMachine) {
  if (const std::string why = this->missing(CpuModel::kX86_64V2); !why.empty()) GTEST_SKIP() << why;
  Machine<TypeParam> machine(1, CpuModel::kX86_64V2);
  const auto restored = machine.vcpu().restore_snapshot(state_of<TypeParam>(CpuModel::kHost));
  ASSERT_FALSE(restored);
  EXPECT_THAT(restored.error().message(), HasSubstr(", which the guest was shown"));
}

// It goes on seeing what it saw, in a machine that could show more.
TYPED_TEST_P(CpuModels, AModelsGuestKeepsItsProcessorOnAHostsMachine) {
  if (const std::string why = this->missing(CpuModel::kX86_64V2); !why.empty()) GTEST_SKIP() << why;
  auto state = state_of<TypeParam>(CpuModel::kX86_64V2);
  Machine<TypeParam> machine;
  ASSERT_TRUE(machine.memory->write(Gpa{kCode}, PROGRAM(cpuid)));
  ASSERT_TRUE(entry_state(*machine.memory, kCode, kStack)) << "page tables";
  state.gpr[0] = 0x80000002;
  const auto restored = machine.vcpu().restore_snapshot(state);
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(machine.next().kind, seam::VcpuExit::Kind::kIo);
  std::array<char, 16> brand{};
  ASSERT_TRUE(machine.memory->read(Gpa{kData}, std::as_writable_bytes(std::span(brand))));
  EXPECT_EQ(std::string(brand.data(), 14), "Husk x86-64-v2");
  const auto again = machine.vcpu().capture_snapshot();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->cpu_model, CpuModel::kX86_64V2);
  EXPECT_EQ(again->cpuid, state.cpuid);
}

REGISTER_TYPED_TEST_SUITE_P(CpuModels, AGuestOfV2SeesV2AndNothingElse,
                            AGuestOfV3SeesV3AndNothingElse, WhatABackendCannotShowIsRefusedByName,
                            ExtendedStateIsTheModels, ExtendedStateIsKeptAndCutToTheModel,
                            AStateTellsWhatItsGuestWasShown, AStateIsRefusedWhereSomethingIsMissing,
                            AHostsGuestDoesNotFitAModelsMachine,
                            AModelsGuestKeepsItsProcessorOnAHostsMachine);

}  // namespace husk::contract_tests
