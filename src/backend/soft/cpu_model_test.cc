// The processor that the built-in CPU shows, beside what every backend is held to by the contract.
#include "contract/x86/cpu_model.h"

#include <gtest/gtest.h>

#include <array>

#include "backend/soft/soft_vm.h"
#include "contract/x86/cpu_features.h"
#include "contract/x86/testing/hosts.h"

namespace husk::soft {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

constexpr uint64_t kAt = 0x1000;

class SoftCpuModel : public ::testing::Test {
 protected:
  SoftCpuModel() {
    EXPECT_TRUE(vm->map_ram(ram.data(), 0, ram.size(), seam::Prot::kReadWriteExec));
    vcpu = std::move(*vm->create_vcpu(0));
    // mov eax, [2000h]; cpuid; xchg eax, ebx; out 80h, eax: in real mode, at 0000:1000
    constexpr std::array<uint8_t, 12> kCode{0x66, 0xa1, 0x00, 0x20, 0x0f, 0xa2,
                                            0x66, 0x93, 0x66, 0xe7, 0x80, 0xf4};
    std::ranges::transform(kCode, ram.begin() + kAt, [](uint8_t b) { return std::byte{b}; });
  }
  // A state before the code, shown `table`.
  VcpuState shown(const CpuidTable& table) {
    auto state = *vcpu->capture_snapshot();
    state.segments[kCs].selector = 0;
    state.segments[kCs].base = 0;
    state.rip = kAt;
    state.cpuid = table;
    return state;
  }

  alignas(4096) static inline std::array<std::byte, 0x10000> ram{};
  std::unique_ptr<SoftVm> vm = std::move(*SoftVm::create(1));
  std::unique_ptr<SoftVcpu> vcpu;
};

// It neither speculates nor has MSRs of a vendor's own: a name is all that it takes.
TEST_F(SoftCpuModel, AGuestOfAnIntelHostGoesOnAndSeesIntel) {
  const CpuidTable table = shown_cpuid(contract::x86::testing::intel_server(), CpuModel::kX86_64V2);
  const auto restored = vcpu->restore_snapshot(shown(table));
  ASSERT_TRUE(restored) << restored.error().message();
  const seam::VcpuExit exit = vcpu->step();
  ASSERT_EQ(exit.kind, seam::VcpuExit::Kind::kIo);
  EXPECT_EQ(exit.data, 0x756e6547U) << "Genu";
  EXPECT_EQ(vcpu->capture_snapshot()->cpuid, table);
}

TEST_F(SoftCpuModel, AGuestOfV3DoesToo) {
  if (!SoftVm::can_show(CpuModel::kX86_64V3)) GTEST_SKIP() << "this host lacks a part of v3";
  const CpuidTable table = shown_cpuid(contract::x86::testing::intel_server(), CpuModel::kX86_64V3);
  VcpuState state = shown(table);
  state.xcr0 = 7;
  state.xsave.assign(320, 0);
  state.xsave[0] = 7;
  for (size_t i = 64; i < state.xsave.size(); ++i) state.xsave[i] = static_cast<uint8_t>(i);
  const auto restored = vcpu->restore_snapshot(state);
  ASSERT_TRUE(restored) << restored.error().message();
  const auto again = *vcpu->capture_snapshot();
  EXPECT_EQ(again.xcr0, 7U);
  EXPECT_EQ(again.xsave, state.xsave);
  EXPECT_EQ(again.cpuid, table);
}

TEST_F(SoftCpuModel, AnXcr0ThatIsNoneIsRefused) {
  if (!SoftVm::can_show(CpuModel::kX86_64V3)) GTEST_SKIP() << "this host lacks a part of v3";
  VcpuState state = shown({});
  for (const uint64_t bad : {0, 6, 5}) {
    state.xcr0 = bad;
    EXPECT_FALSE(vcpu->restore_snapshot(state)) << bad;
  }
}

// A guest that goes on knows registers which this CPU, or this guest's processor, has not.
TEST_F(SoftCpuModel, RegistersBeyondTheProcessorAreRefused) {
  VcpuState state = shown({});
  state.xcr0 = 0xe7;
  EXPECT_FALSE(vcpu->restore_snapshot(state));
  state.xcr0 = 1;
  state.xsave = {0xe0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_FALSE(vcpu->restore_snapshot(state));
  state.xsave = {3, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(vcpu->restore_snapshot(state));
}

TEST_F(SoftCpuModel, AGuestOfV2MeetsNoVex) {
  if (!SoftVm::can_show(CpuModel::kX86_64V3)) GTEST_SKIP() << "this host lacks a part of v3";
  constexpr uint64_t kCode = 0x3000;
  // xor ecx, ecx; andn eax, eax, ecx; out 80h, eax
  constexpr std::array<uint8_t, 10> kAndn{0x31, 0xc9, 0xc4, 0xe2, 0x78,
                                          0xf2, 0xc1, 0xe7, 0x80, 0xf4};
  std::ranges::transform(kAndn, ram.begin() + kCode, [](uint8_t b) { return std::byte{b}; });
  for (const CpuModel model : {CpuModel::kX86_64V3, CpuModel::kX86_64V2}) {
    VcpuState state = shown(shown_cpuid(contract::x86::testing::intel_server(), model));
    state.cr0 |= 1;
    state.segments[kCs].attributes |= kSegBig | kSegGranular;
    state.segments[kCs].limit = 0xffffffff;
    state.idtr = {0, 0};  // any exception ends in a shutdown
    state.rip = kCode;
    ASSERT_TRUE(vcpu->restore_snapshot(state));
    const seam::VcpuExit exit = vcpu->step();
    EXPECT_EQ(exit.kind == seam::VcpuExit::Kind::kIo, model == CpuModel::kX86_64V3);
  }
}

// So that a snapshot may go on on KVM of an AMD host, and back.
TEST(SoftCpuModels, V2IsWhatAnAmdHostShows) {
  if (!SoftVm::can_show(CpuModel::kX86_64V2)) GTEST_SKIP() << "this host lacks a part of v2";
  auto vm = std::move(*SoftVm::create(1, CpuModel::kX86_64V2));
  const auto state = *(*vm->create_vcpu(0))->capture_snapshot();
  CpuidTable expected = shown_cpuid(contract::x86::testing::amd_server(), CpuModel::kX86_64V2);
  for (const CpuidEntry& entry : expected) {
    for (const CpuidRegister reg : {kEax, kEbx, kEcx, kEdx}) {
      const FeatureWord at{entry.leaf, entry.subleaf, reg};
      if (entry.leaf == 1 && reg == kEbx) continue;  // the topology's
      EXPECT_EQ(word(state.cpuid, at.leaf, at.subleaf, reg) & ~changing_bits(at),
                entry.regs[reg] & ~changing_bits(at))
          << feature_name(at, 0);
    }
  }
}

}  // namespace
}  // namespace husk::soft
