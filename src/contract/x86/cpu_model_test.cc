#include "contract/x86/cpu_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "contract/x86/cpu_features.h"
#include "contract/x86/testing/hosts.h"

namespace husk::contract::x86 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

constexpr CpuModel kV2 = CpuModel::kX86_64V2, kV3 = CpuModel::kX86_64V3;

bool has(const CpuidTable& table, const Feature& feature) {
  const FeatureWord& at = feature.word;
  return (word(table, at.leaf, at.subleaf, at.reg) >> feature.bit & 1) != 0;
}

// What `table` shows of the features that have names, but for the machine's.
std::set<std::string> names(const CpuidTable& table) {
  std::set<std::string> result;
  for (const Feature& feature : features()) {
    if (feature.level != Level::kMachine && has(table, feature)) result.insert(feature.name);
  }
  return result;
}

std::set<std::string> names_up_to(Level level) {
  std::set<std::string> result;
  for (const Feature& feature : features()) {
    if (feature.level <= level) result.insert(feature.name);
  }
  return result;
}

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "no error" : result.error().message();
}

std::string text_at(const CpuidTable& table, uint32_t leaf) {
  std::string text;
  for (uint32_t part = 0; part < 3; ++part)
    text.append(reinterpret_cast<const char*>(find(table, leaf + part)->regs.data()), 16);
  return text.c_str();
}

TEST(CpuModel, NamesAreReadAsTheyAreWritten) {
  for (const CpuModel model : kCpuModels) EXPECT_EQ(parse_cpu_model(name(model)), model);
  EXPECT_FALSE(parse_cpu_model("x86-64-v4"));
  EXPECT_FALSE(parse_cpu_model(""));
  EXPECT_EQ(cpu_models(host::CpuArch::kAarch64).size(), 1U);
  EXPECT_EQ(cpu_models(host::CpuArch::kAarch64)[0], CpuModel::kHost);
}

std::set<std::string> names_of(Level level) {
  std::set<std::string> result;
  for (const Feature& feature : features()) {
    if (feature.level == level) result.insert(feature.name);
  }
  return result;
}

// The psABI's lists (section 3.1.1), written down here once more, and the machine's.
TEST(CpuModel, LevelsAreThePsabis) {
  EXPECT_EQ(names_of(Level::kMachine),
            (std::set<std::string>{"x2APIC", "TSC deadline timer", "hypervisor bit",
                                   "timer that runs in every state", "KVM's word on I/O delays",
                                   "KVM's clock", "KVM's stable clock"}));
  EXPECT_EQ(names_of(Level::kV2),
            (std::set<std::string>{"SSE3", "SSSE3", "CMPXCHG16B", "SSE4.1", "SSE4.2", "POPCNT",
                                   "LAHF in 64-bit mode"}));
  const auto v3 = names_up_to(Level::kV3);
  for (const char* name : {"AVX", "AVX2", "BMI1", "BMI2", "F16C", "FMA", "LZCNT", "MOVBE", "XSAVE"})
    EXPECT_TRUE(v3.contains(name)) << name;
  EXPECT_EQ(v3.size(), names_up_to(Level::kV2).size() + 12);
}

TEST(CpuModel, AGuestSeesExactlyItsModelWhateverTheHostHas) {
  for (const CpuidTable& host : {intel_server(), intel_older(), amd_server()}) {
    ASSERT_TRUE(require_model(host, kV3, "host")) << error_of(require_model(host, kV3, "host"));
    EXPECT_EQ(names(shown_cpuid(host, kV2)), names_up_to(Level::kV2));
    EXPECT_EQ(names(shown_cpuid(host, kV3)), names_up_to(Level::kV3));
  }
}

// Nor is there anything that has no name here.
TEST(CpuModel, NoBitIsShownThatIsNotTheModels) {
  for (const CpuidTable& host : {intel_server(), amd_server()}) {
    for (const auto& [model, level] : {std::pair(kV2, Level::kV2), std::pair(kV3, Level::kV3)}) {
      const CpuidTable shown = shown_cpuid(host, model);
      for (const FeatureWord& at : feature_words())
        EXPECT_EQ(word(shown, at.leaf, at.subleaf, at.reg) & ~allowed_bits(at, level), 0U)
            << feature_name(at, 0) << " and so on";
      for (const uint32_t leaf : {5U, 0xaU, 0x14U, 0x1dU, 0x80000007U, 0x8000001eU, 0x80000021U})
        EXPECT_EQ(find(shown, leaf), nullptr) << leaf;
    }
  }
}

TEST(CpuModel, TheMachinesOwnStays) {
  const CpuidTable shown = shown_cpuid(intel_server(), kV2);
  EXPECT_EQ(word(shown, 1, 0, kEcx) & bits({21, 24, 31}), bits({21, 24, 31}))
      << "x2APIC, deadline timer, hypervisor";
  EXPECT_EQ(word(shown, 6, 0, kEax), bits({2}));
  EXPECT_EQ(word(shown, 0x40000000, 0, kEbx), 0x4b4d564bU) << "KVM";
  EXPECT_EQ(word(shown, 0x40000001, 0, kEax), bits({1, 3, 24})) << "its clock, nothing else";
}

TEST(CpuModel, ItIsTheSameOnEveryHostOfAVendor) {
  EXPECT_EQ(shown_cpuid(intel_server(), kV2), shown_cpuid(intel_older(), kV2));
  EXPECT_EQ(shown_cpuid(intel_server(), kV3), shown_cpuid(intel_older(), kV3));
  const CpuidTable amd = shown_cpuid(amd_server(), kV2);
  EXPECT_EQ(word(amd, 0, 0, kEbx), 0x68747541U) << "the vendor is the host's";
  EXPECT_EQ(word(amd, 0x80000001, 0, kEax), word(amd, 1, 0, kEax));
  EXPECT_EQ(text_at(amd, 0x80000002), "Husk x86-64-v2");
}

TEST(CpuModel, ExtendedStateIsTheModels) {
  const CpuidTable v2 = shown_cpuid(intel_server(), kV2), v3 = shown_cpuid(intel_server(), kV3);
  EXPECT_EQ(xcr0_mask(v2), 1U);
  EXPECT_EQ(xsave_rest(v2), 0U);
  EXPECT_EQ(find(v2, 0xd), nullptr);
  EXPECT_EQ(xcr0_mask(v3), 7U);
  EXPECT_EQ(xsave_rest(v3), 320U) << "the header, and AVX's halves";
  EXPECT_EQ(word(v3, 0xd, 0, kEcx), 832U);
  EXPECT_EQ(word(v3, 0xd, 1, kEax), 0U) << "no compacted format";
  EXPECT_EQ(find(v3, 0xd, 5), nullptr);
  EXPECT_EQ(xcr0_mask(intel_server()), 0x602e7U);
  EXPECT_EQ(xsave_rest(intel_server()), 0x2b00U - 512);
}

TEST(CpuModel, TheFirstMissingFeatureIsNamed) {
  const auto refusal = [](const CpuidTable& host, CpuModel model) {
    return error_of(require_model(host, model, "this CPU"));
  };
  EXPECT_EQ(refusal(intel_server(), kV3), "no error");
  EXPECT_EQ(refusal(without(intel_server(), 1, kEcx, bits({0, 20})), kV2),
            "this CPU: cannot show a guest x86-64-v2: it has no SSE3");
  EXPECT_EQ(refusal(without(intel_server(), 1, kEcx, bits({28})), kV3),
            "this CPU: cannot show a guest x86-64-v3: it has no AVX");
  EXPECT_EQ(refusal(without(intel_server(), 1, kEcx, bits({28})), kV2), "no error");
  EXPECT_EQ(refusal(without(intel_server(), 0xd, kEax, bits({2})), kV3),
            "this CPU: cannot show a guest x86-64-v3: it has no AVX state in XCR0");
  EXPECT_EQ(refusal({}, kV2), "this CPU: cannot show a guest x86-64-v2: it has no FPU");
  EXPECT_EQ(refusal({}, CpuModel::kHost), "no error");
}

TEST(CpuModel, HostIsAllThatThereIs) {
  EXPECT_EQ(shown_cpuid(amd_server(), CpuModel::kHost), amd_server());
}

TEST(CpuModel, AGuestMayMoveToWhereNothingIsMissing) {
  const CpuidTable v2 = shown_cpuid(intel_server(), kV2), v3 = shown_cpuid(intel_server(), kV3);
  EXPECT_TRUE(require_no_less(v2, v2));
  EXPECT_TRUE(require_no_less(v2, v3));
  EXPECT_TRUE(require_no_less(v2, intel_older()));
  EXPECT_TRUE(require_no_less(v3, shown_cpuid(intel_older(), kV3)));
  EXPECT_THAT(error_of(require_no_less(v3, v2)), HasSubstr("no FMA, which the guest was shown"));
  EXPECT_THAT(error_of(require_no_less(intel_server(), v3)), HasSubstr("has no PCLMULQDQ"));
  EXPECT_THAT(error_of(require_no_less(without(intel_server(), 1, kEcx, ~0U), v3)),
              HasSubstr("has no VME"));
  EXPECT_THAT(error_of(require_no_less({{7, 0, true, {0, 0, 0, bits({9})}}},
                                       {{0, 0, false, {}}, {7, 0, true, {}}})),
              HasSubstr("is of"));
}

TEST(CpuModel, WhatHasNoNameIsToldByItsPlace) {
  const CpuidTable was{{7, 0, true, {0, 0, 0, bits({9})}}};
  EXPECT_THAT(error_of(require_features(was, {})), HasSubstr("has no CPUID 7.0 EDX bit 9"));
}

TEST(CpuModel, VendorAndAddressBitsCount) {
  const CpuidTable intel = shown_cpuid(intel_server(), kV2), amd = shown_cpuid(amd_server(), kV2);
  EXPECT_THAT(error_of(require_no_less(intel, amd)),
              HasSubstr("is of AuthenticAMD, and the guest was shown GenuineIntel"));
  CpuidTable fewer = without(intel, 0x80000008, kEax, 1);
  EXPECT_THAT(error_of(require_no_less(intel, fewer)), HasSubstr("no 39-bit physical addresses"));
  EXPECT_TRUE(require_no_less(fewer, intel));
}

// OSXSAVE and the APIC's bit follow registers of the guest's, HTT the topology.
TEST(CpuModel, BitsThatChangeAreNoFeatures) {
  const CpuidTable v3 = shown_cpuid(intel_server(), kV3);
  CpuidTable was = v3;
  for (CpuidEntry& entry : was) {
    if (entry.leaf == 1) entry.regs[kEcx] |= bits({27});
  }
  EXPECT_TRUE(require_no_less(was, without(v3, 1, kEdx, bits({9, 28}))));
}

TEST(CpuModel, RegistersThatAreNotShownAreRefused) {
  const CpuidTable v2 = shown_cpuid(intel_server(), kV2), v3 = shown_cpuid(intel_server(), kV3);
  VcpuState state;
  EXPECT_TRUE(require_components(state, v2));
  state.xcr0 = 7;
  EXPECT_THAT(error_of(require_components(state, v2)), HasSubstr("no SSE state in XCR0"));
  EXPECT_TRUE(require_components(state, v3));
  state.xcr0 = 0xe7;
  EXPECT_THAT(error_of(require_components(state, v3)), HasSubstr("no AVX-512 state in XCR0"));
  state.xcr0 = 1;
  state.xsave = {3, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(require_components(state, v2)) << "SSE is in the FXSAVE image";
  state.xsave = {7, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_THAT(error_of(require_components(state, v2)), HasSubstr("no AVX state in XCR0"));
  state.xsave = {3, 0, 0, 0, 1, 0, 0, 0};
  EXPECT_THAT(error_of(require_components(state, v3)), HasSubstr("CPUID d.0 EDX bit 0"));
}

}  // namespace
}  // namespace husk::contract::x86
