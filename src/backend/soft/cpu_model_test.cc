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

TEST_F(SoftCpuModel, AGuestOfV3DoesNot) {
  const CpuidTable table = shown_cpuid(contract::x86::testing::intel_server(), CpuModel::kX86_64V3);
  const auto restored = vcpu->restore_snapshot(shown(table));
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().message(),
            "the processor of this machine: has no FMA, which the guest was shown");
  EXPECT_TRUE(vcpu->restore_snapshot(shown({}))) << "and nothing has changed";
}

// Registers that no guest of this CPU can have are not dropped in silence.
TEST_F(SoftCpuModel, LiveVectorRegistersAreRefused) {
  VcpuState state = shown({});
  state.xcr0 = 7;
  EXPECT_FALSE(vcpu->restore_snapshot(state));
  state.xcr0 = 1;
  state.xsave = {4, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_FALSE(vcpu->restore_snapshot(state));
  state.xsave = {3, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(vcpu->restore_snapshot(state));
}

TEST(SoftCpuModels, V3IsRefusedByItsFirstFeature) {
  const auto made = SoftVm::create(1, CpuModel::kX86_64V3);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message(),
            "the built-in CPU: cannot show a guest x86-64-v3: it has no AVX");
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
