#include "contract/x86/cpu_features.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace husk::contract::x86 {
namespace {

// Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E; KVM's: Linux,
// Documentation/virt/kvm/x86/cpuid.rst.
constexpr FeatureWord k1Ecx{1, 0, kEcx}, k1Edx{1, 0, kEdx}, k6Eax{6, 0, kEax}, k7Ebx{7, 0, kEbx},
    k7Ecx{7, 0, kEcx}, k7Edx{7, 0, kEdx}, k71Eax{7, 1, kEax}, k71Edx{7, 1, kEdx},
    k72Edx{7, 2, kEdx}, kXcr0{0xd, 0, kEax}, kXcr0High{0xd, 0, kEdx}, kXsave{0xd, 1, kEax},
    kXss{0xd, 1, kEcx}, kKvm{0x40000001, 0, kEax}, kExtEcx{0x80000001, 0, kEcx},
    kExtEdx{0x80000001, 0, kEdx}, kExtPower{0x80000007, 0, kEdx}, kExtEbx{0x80000008, 0, kEbx},
    kExt21{0x80000021, 0, kEax};

constexpr std::array kWords{k1Ecx,   k1Edx,     k7Ebx,     k7Ecx,  k7Edx, k71Eax, k71Edx,
                            k72Edx,  kXcr0,     kXcr0High, kXsave, kXss,  kKvm,   kExtEcx,
                            kExtEdx, kExtPower, kExtEbx,   kExt21, k6Eax};

using enum Level;

constexpr std::array kFeatures = std::to_array<Feature>({
    {k1Edx, 0, kBase, "FPU"},
    {k1Edx, 2, kBase, "debugging extensions"},
    {k1Edx, 3, kBase, "pages of 4 MiB"},
    {k1Edx, 4, kBase, "time-stamp counter"},
    {k1Edx, 5, kBase, "MSRs"},
    {k1Edx, 6, kBase, "PAE"},
    {k1Edx, 8, kBase, "CMPXCHG8B"},
    {k1Edx, 9, kBase, "local APIC"},
    {k1Edx, 12, kBase, "MTRRs"},
    {k1Edx, 13, kBase, "global pages"},
    {k1Edx, 15, kBase, "CMOV"},
    {k1Edx, 16, kBase, "PAT"},
    {k1Edx, 17, kBase, "PSE-36"},
    {k1Edx, 19, kBase, "CLFLUSH"},
    {k1Edx, 23, kBase, "MMX"},
    {k1Edx, 24, kBase, "FXSR"},
    {k1Edx, 25, kBase, "SSE"},
    {k1Edx, 26, kBase, "SSE2"},
    {kExtEdx, 11, kBase, "SYSCALL"},
    {kExtEdx, 20, kBase, "NX"},
    {kExtEdx, 29, kBase, "long mode"},

    {k1Ecx, 0, kV2, "SSE3"},
    {k1Ecx, 9, kV2, "SSSE3"},
    {k1Ecx, 13, kV2, "CMPXCHG16B"},
    {k1Ecx, 19, kV2, "SSE4.1"},
    {k1Ecx, 20, kV2, "SSE4.2"},
    {k1Ecx, 23, kV2, "POPCNT"},
    {kExtEcx, 0, kV2, "LAHF in 64-bit mode"},

    {k1Ecx, 28, kV3, "AVX"},
    {k7Ebx, 5, kV3, "AVX2"},
    {k7Ebx, 3, kV3, "BMI1"},
    {k7Ebx, 8, kV3, "BMI2"},
    {k1Ecx, 29, kV3, "F16C"},
    {k1Ecx, 12, kV3, "FMA"},
    {kExtEcx, 5, kV3, "LZCNT"},
    {k1Ecx, 22, kV3, "MOVBE"},
    {k1Ecx, 26, kV3, "XSAVE"},  // the psABI's OSXSAVE, which a kernel sets
    {kXcr0, 0, kV3, "x87 state in XCR0"},
    {kXcr0, 1, kV3, "SSE state in XCR0"},
    {kXcr0, 2, kV3, "AVX state in XCR0"},

    {k1Ecx, 21, kMachine, "x2APIC"},
    {k1Ecx, 24, kMachine, "TSC deadline timer"},
    {k1Ecx, 31, kMachine, "hypervisor bit"},
    {k6Eax, 2, kMachine, "timer that runs in every state"},
    {kKvm, 1, kMachine, "KVM's word on I/O delays"},
    {kKvm, 3, kMachine, "KVM's clock"},
    {kKvm, 24, kMachine, "KVM's stable clock"},

    {k1Ecx, 1, kAbove, "PCLMULQDQ"},
    {k1Ecx, 17, kAbove, "PCID"},
    {k1Ecx, 25, kAbove, "AES"},
    {k1Ecx, 30, kAbove, "RDRAND"},
    {k1Edx, 1, kAbove, "VME"},
    {k1Edx, 7, kAbove, "MCE"},
    {k1Edx, 11, kAbove, "SYSENTER"},
    {k1Edx, 14, kAbove, "MCA"},
    {k7Ebx, 0, kAbove, "FSGSBASE"},
    {k7Ebx, 7, kAbove, "SMEP"},
    {k7Ebx, 9, kAbove, "ERMS"},
    {k7Ebx, 10, kAbove, "INVPCID"},
    {k7Ebx, 11, kAbove, "RTM"},
    {k7Ebx, 16, kAbove, "AVX512F"},
    {k7Ebx, 17, kAbove, "AVX512DQ"},
    {k7Ebx, 18, kAbove, "RDSEED"},
    {k7Ebx, 19, kAbove, "ADX"},
    {k7Ebx, 20, kAbove, "SMAP"},
    {k7Ebx, 23, kAbove, "CLFLUSHOPT"},
    {k7Ebx, 24, kAbove, "CLWB"},
    {k7Ebx, 28, kAbove, "AVX512CD"},
    {k7Ebx, 29, kAbove, "SHA"},
    {k7Ebx, 30, kAbove, "AVX512BW"},
    {k7Ebx, 31, kAbove, "AVX512VL"},
    {k7Ecx, 1, kAbove, "AVX512_VBMI"},
    {k7Ecx, 2, kAbove, "UMIP"},
    {k7Ecx, 3, kAbove, "PKU"},
    {k7Ecx, 7, kAbove, "user shadow stacks"},
    {k7Ecx, 8, kAbove, "GFNI"},
    {k7Ecx, 9, kAbove, "VAES"},
    {k7Ecx, 10, kAbove, "VPCLMULQDQ"},
    {k7Ecx, 11, kAbove, "AVX512_VNNI"},
    {k7Ecx, 16, kAbove, "57-bit addresses"},
    {k7Ecx, 22, kAbove, "RDPID"},
    {k7Edx, 4, kAbove, "FSRM"},
    {k7Edx, 10, kAbove, "MD_CLEAR"},
    {k7Edx, 22, kAbove, "AMX-BF16"},
    {k7Edx, 24, kAbove, "AMX-TILE"},
    {k7Edx, 25, kAbove, "AMX-INT8"},
    {k7Edx, 26, kAbove, "IBRS"},
    {k7Edx, 27, kAbove, "STIBP"},
    {k7Edx, 29, kAbove, "ARCH_CAPABILITIES"},
    {k7Edx, 31, kAbove, "SSBD"},
    {k71Eax, 4, kAbove, "AVX-VNNI"},
    {kXcr0, 5, kAbove, "AVX-512 state in XCR0"},
    {kXcr0, 9, kAbove, "PKRU state in XCR0"},
    {kXcr0, 18, kAbove, "AMX state in XCR0"},
    {kXsave, 0, kAbove, "XSAVEOPT"},
    {kXsave, 1, kAbove, "XSAVEC"},
    {kXsave, 3, kAbove, "XSAVES"},
    {kKvm, 4, kAbove, "KVM's asynchronous page faults"},
    {kKvm, 5, kAbove, "KVM's steal time"},
    {kKvm, 6, kAbove, "KVM's end of interrupt"},
    {kKvm, 7, kAbove, "KVM's wake-ups"},
    {kExtEcx, 8, kAbove, "PREFETCHW"},
    {kExtEcx, 22, kAbove, "TOPOEXT"},
    {kExtEdx, 22, kAbove, "MMXEXT"},
    {kExtEdx, 26, kAbove, "pages of 1 GiB"},
    {kExtEdx, 27, kAbove, "RDTSCP"},
    {kExtPower, 8, kAbove, "invariant TSC"},
    {kExtEbx, 12, kAbove, "IBPB"},
});

// AMD repeats bits of leaf 1's EDX here (APM vol. 3, appendix E.4.2).
constexpr uint32_t kRepeatedByAmd = 0x0183f3ff;

}  // namespace

std::span<const Feature> features() { return kFeatures; }
std::span<const FeatureWord> feature_words() { return kWords; }

uint32_t allowed_bits(const FeatureWord& word, Level level) {
  uint32_t bits = word == kExtEdx ? allowed_bits(k1Edx, level) & kRepeatedByAmd : 0;
  for (const Feature& feature : kFeatures) {
    if (feature.word == word && (feature.level <= level || feature.level == kMachine))
      bits |= uint32_t{1} << feature.bit;
  }
  return bits;
}

uint32_t changing_bits(const FeatureWord& word) {
  if (word == k1Ecx) return 1u << 27;            // OSXSAVE: CR4's
  if (word == k1Edx) return 1u << 9 | 1u << 28;  // the APIC's switch; HTT
  if (word == k7Ecx) return 1u << 4;             // OSPKE: CR4's
  if (word == kExtEcx) return 1u << 1;           // CMP_LEGACY
  if (word == kExtEdx) return 1u << 9;           // the APIC's switch again
  return 0;
}

std::string feature_name(const FeatureWord& word, uint8_t bit) {
  const auto found = std::ranges::find_if(
      kFeatures, [&](const Feature& f) { return f.word == word && f.bit == bit; });
  if (found != kFeatures.end()) return found->name;
  constexpr std::array kRegisters{"EAX", "EBX", "ECX", "EDX"};
  return fmt::format("CPUID {:x}.{} {} bit {}", word.leaf, word.subleaf, kRegisters[word.reg], bit);
}

}  // namespace husk::contract::x86
