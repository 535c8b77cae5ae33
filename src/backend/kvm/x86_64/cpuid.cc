#include "backend/kvm/x86_64/cpuid.h"

#include <array>
#include <cstring>

#include "backend/kvm/common/calls.h"
#include "base/try.h"

namespace husk::kvm {
namespace {

constexpr uint32_t kMostEntries = 256;

constexpr uint32_t bit(int n) { return uint32_t{1} << n; }

struct Feature {
  uint32_t leaf;
  enum Register { kEbx, kEcx, kEdx } reg;
  int bit;
  const char* name;
};

// The x86-64 psABI's level v2 (section 3.1.1), and what Husk's machine itself stands on.
constexpr std::array<Feature, 16> kBaseline{{
    {1, Feature::kEdx, 6, "PAE"},
    {1, Feature::kEdx, 8, "CMPXCHG8B"},
    {1, Feature::kEdx, 9, "a local APIC"},
    {1, Feature::kEdx, 24, "FXSR"},
    {1, Feature::kEdx, 26, "SSE2"},
    {1, Feature::kEcx, 0, "SSE3"},
    {1, Feature::kEcx, 9, "SSSE3"},
    {1, Feature::kEcx, 13, "CMPXCHG16B"},
    {1, Feature::kEcx, 19, "SSE4.1"},
    {1, Feature::kEcx, 20, "SSE4.2"},
    {1, Feature::kEcx, 23, "POPCNT"},
    {0x80000001, Feature::kEcx, 0, "LAHF in 64-bit mode"},
    {0x80000001, Feature::kEdx, 11, "SYSCALL"},
    {0x80000001, Feature::kEdx, 20, "NX"},
    {0x80000001, Feature::kEdx, 29, "long mode"},
    {1, Feature::kEdx, 4, "a time-stamp counter"},
}};

const kvm_cpuid_entry2* find(const CpuidEntries& entries, uint32_t leaf) {
  for (const auto& entry : entries) {
    if (entry.function == leaf && entry.index == 0) return &entry;
  }
  return nullptr;
}

bool has(const CpuidEntries& entries, const Feature& feature) {
  const auto* entry = find(entries, feature.leaf);
  if (entry == nullptr) return false;
  const uint32_t value = feature.reg == Feature::kEbx   ? entry->ebx
                         : feature.reg == Feature::kEcx ? entry->ecx
                                                        : entry->edx;
  return (value & bit(feature.bit)) != 0;
}

uint32_t bits_for(uint32_t count) {
  uint32_t bits = 0;
  while ((1u << bits) < count) ++bits;
  return bits;
}

// Leaf 1: MONITOR, VMX and the debug store go; the hypervisor bit and the deadline timer, which KVM
// always has with its APIC, come.
void set_leaf_1(kvm_cpuid_entry2& entry, uint32_t id, uint32_t vcpus) {
  entry.ebx = (entry.ebx & 0x0000ffff) | id << 24 | (vcpus & 0xff) << 16;
  entry.ecx &= ~(bit(3) | bit(5) | bit(2) | bit(7) | bit(15));
  entry.ecx |= bit(24) | bit(31) | bit(21);
  entry.edx &= ~(bit(21) | bit(22) | bit(28));
  if (vcpus > 1) entry.edx |= bit(28);
}

// Leaves 0xb and 0x1f: level 0 one thread, level 1 all cores.
void set_topology(kvm_cpuid_entry2& entry, uint32_t id, uint32_t vcpus) {
  entry.eax = entry.index == 0 ? 0 : bits_for(vcpus);
  entry.ebx = entry.index == 0 ? 1 : vcpus;
  entry.ecx = entry.index | (entry.index == 0 ? 1u << 8 : 2u << 8);
  entry.edx = id;
}

// Leaf 4: every cache private to a core, but the last level.
void set_cache(kvm_cpuid_entry2& entry, uint32_t vcpus) {
  const uint32_t level = entry.eax >> 5 & 7;
  entry.eax &= 0x3fff;
  if (level >= 3) entry.eax |= ((1u << bits_for(vcpus)) - 1) << 14;
  entry.eax |= ((1u << bits_for(vcpus)) - 1) << 26;
}

// False: the leaf is not for guests.
bool adapt(kvm_cpuid_entry2& entry, uint32_t id, uint32_t vcpus) {
  switch (entry.function) {
    case 1:
      set_leaf_1(entry, id, vcpus);
      return true;
    case 4:
      set_cache(entry, vcpus);
      return true;
    case 6:
      entry.eax = bit(2);  // the timer runs in every state; nothing else of power management
      entry.ebx = entry.ecx = entry.edx = 0;
      return true;
    case 0xa:
      entry.eax = entry.ebx = entry.ecx = entry.edx = 0;
      return true;
    case 0xb:
    case 0x1f:
      return false;  // written anew
    case 0x80000001:
      entry.ecx &= ~(bit(2) | bit(10) | bit(13) | bit(23));  // SVM, IBS, watchdog, counters
      entry.ecx = vcpus > 1 ? entry.ecx | bit(1) : entry.ecx & ~bit(1);
      return true;
    case 0x80000008:
      entry.ecx = bits_for(vcpus) << 12 | (vcpus - 1);
      return true;
    case 0x8000000a:  // SVM's
      entry.eax = entry.ebx = entry.ecx = entry.edx = 0;
      return true;
    case 0x8000001e:
      entry.eax = id;
      entry.ebx = id & 0xff;
      entry.ecx = 0;
      return true;
    default:
      return true;
  }
}

}  // namespace

Result<CpuidEntries> supported_cpuid(const System& system) {
  std::vector<std::byte> block(sizeof(kvm_cpuid2) + kMostEntries * sizeof(kvm_cpuid_entry2));
  auto* header = reinterpret_cast<kvm_cpuid2*>(block.data());
  header->nent = kMostEntries;
  HUSK_TRY(call(system.fd(), HUSK_KVM_CALL(KVM_GET_SUPPORTED_CPUID), header));
  CpuidEntries entries(std::min(header->nent, kMostEntries));
  std::memcpy(entries.data(), block.data() + sizeof(kvm_cpuid2),
              entries.size() * sizeof(kvm_cpuid_entry2));
  return entries;
}

Result<void> require_baseline(const CpuidEntries& supported) {
  for (const Feature& feature : kBaseline) {
    if (!has(supported, feature))
      return fail(ErrorKind::kUnsupported, System::kDevice,
                  std::string("shows guests no ") + feature.name);
  }
  return {};
}

CpuidEntries guest_cpuid(const CpuidEntries& supported, uint32_t id, uint32_t vcpus) {
  CpuidEntries entries;
  for (kvm_cpuid_entry2 entry : supported) {
    if (adapt(entry, id, vcpus)) entries.push_back(entry);
  }
  if (const auto* basic = find(supported, 0); basic != nullptr && basic->eax >= 0xb) {
    for (uint32_t level = 0; level < 2; ++level) {
      kvm_cpuid_entry2 entry{};
      entry.function = 0xb;
      entry.index = level;
      entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
      set_topology(entry, id, vcpus);
      entries.push_back(entry);
    }
  }
  return entries;
}

std::vector<std::byte> cpuid_block(const CpuidEntries& entries) {
  std::vector<std::byte> block(sizeof(kvm_cpuid2) + entries.size() * sizeof(kvm_cpuid_entry2));
  auto* header = reinterpret_cast<kvm_cpuid2*>(block.data());
  header->nent = static_cast<uint32_t>(entries.size());
  std::memcpy(block.data() + sizeof(kvm_cpuid2), entries.data(),
              entries.size() * sizeof(kvm_cpuid_entry2));
  return block;
}

}  // namespace husk::kvm
