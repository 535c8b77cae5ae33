#include "backend/kvm/x86_64/cpuid.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/kvm/common/calls.h"
#include "backend/kvm/common/kvm_api.h"
#include "base/try.h"

namespace husk::kvm {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

namespace {

constexpr uint32_t kMostEntries = 256;

constexpr uint32_t bit(int n) { return uint32_t{1} << n; }

uint32_t bits_for(uint32_t count) {
  uint32_t bits = 0;
  while ((1u << bits) < count) ++bits;
  return bits;
}

// Leaf 1: MONITOR, VMX and the debug store go; the hypervisor bit and the deadline timer, which KVM
// always has with its APIC, come.
void set_leaf_1(CpuidEntry& entry, uint32_t id, uint32_t vcpus) {
  entry.regs[kEbx] = (entry.regs[kEbx] & 0x0000ffff) | id << 24 | (vcpus & 0xff) << 16;
  entry.regs[kEcx] &= ~(bit(3) | bit(5) | bit(2) | bit(7) | bit(15));
  entry.regs[kEcx] |= bit(24) | bit(31) | bit(21);
  entry.regs[kEdx] &= ~(bit(21) | bit(22) | bit(28));
  if (vcpus > 1) entry.regs[kEdx] |= bit(28);
}

// Leaves 0xb and 0x1f: level 0 one thread, level 1 all cores.
void set_topology(CpuidEntry& entry, uint32_t id, uint32_t vcpus) {
  entry.regs[kEax] = entry.subleaf == 0 ? 0 : bits_for(vcpus);
  entry.regs[kEbx] = entry.subleaf == 0 ? 1 : vcpus;
  entry.regs[kEcx] = entry.subleaf | (entry.subleaf == 0 ? 1u << 8 : 2u << 8);
  entry.regs[kEdx] = id;
}

// Leaf 4: every cache private to a core, but the last level.
void set_cache(CpuidEntry& entry, uint32_t vcpus) {
  const uint32_t level = entry.regs[kEax] >> 5 & 7;
  entry.regs[kEax] &= 0x3fff;
  if (level >= 3) entry.regs[kEax] |= ((1u << bits_for(vcpus)) - 1) << 14;
  entry.regs[kEax] |= ((1u << bits_for(vcpus)) - 1) << 26;
}

// False: the leaf is not for guests.
bool adapt(CpuidEntry& entry, uint32_t id, uint32_t vcpus) {
  switch (entry.leaf) {
    case 1:
      set_leaf_1(entry, id, vcpus);
      return true;
    case 4:
      set_cache(entry, vcpus);
      return true;
    case 6:
      entry.regs = {bit(2)};  // the timer runs in every state; nothing else of power management
      return true;
    case 0xa:
      entry.regs = {};
      return true;
    case 0xb:
    case 0x1f:
      return false;  // written anew
    case 0x80000001:
      entry.regs[kEcx] &= ~(bit(2) | bit(10) | bit(13) | bit(23));  // SVM, IBS, watchdog, counters
      entry.regs[kEcx] = vcpus > 1 ? entry.regs[kEcx] | bit(1) : entry.regs[kEcx] & ~bit(1);
      return true;
    case 0x80000008:
      entry.regs[kEcx] = bits_for(vcpus) << 12 | (vcpus - 1);
      return true;
    case 0x8000000a:  // SVM's
      entry.regs = {};
      return true;
    case 0x8000001e:
      entry.regs[kEax] = id;
      entry.regs[kEbx] = id & 0xff;
      entry.regs[kEcx] = 0;
      return true;
    default:
      return true;
  }
}

// The header and the entries behind it, as the calls want them.
std::vector<std::byte> block_of(size_t entries) {
  std::vector<std::byte> block(sizeof(kvm_cpuid2) + entries * sizeof(kvm_cpuid_entry2));
  reinterpret_cast<kvm_cpuid2*>(block.data())->nent = static_cast<uint32_t>(entries);
  return block;
}

CpuidEntry from_kvm(const kvm_cpuid_entry2& in) {
  return {in.function,
          in.index,
          (in.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
          {in.eax, in.ebx, in.ecx, in.edx}};
}

kvm_cpuid_entry2 to_kvm(const CpuidEntry& in) {
  kvm_cpuid_entry2 out{};
  out.function = in.leaf;
  out.index = in.subleaf;
  out.flags = in.indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
  out.eax = in.regs[kEax];
  out.ebx = in.regs[kEbx];
  out.ecx = in.regs[kEcx];
  out.edx = in.regs[kEdx];
  return out;
}

}  // namespace

Result<CpuidTable> supported_cpuid(const System& system) {
  std::vector<std::byte> block = block_of(kMostEntries);
  auto* header = reinterpret_cast<kvm_cpuid2*>(block.data());
  HUSK_TRY(call(system.fd(), HUSK_KVM_CALL(KVM_GET_SUPPORTED_CPUID), header));
  std::vector<kvm_cpuid_entry2> entries(std::min(header->nent, kMostEntries));
  std::memcpy(entries.data(), block.data() + sizeof(kvm_cpuid2),
              entries.size() * sizeof(kvm_cpuid_entry2));
  CpuidTable table;
  std::ranges::transform(entries, std::back_inserter(table), from_kvm);
  return table;
}

CpuidTable guest_cpuid(const CpuidTable& model, uint32_t id, uint32_t vcpus) {
  CpuidTable table;
  for (CpuidEntry entry : model) {
    if (adapt(entry, id, vcpus)) table.push_back(entry);
  }
  if (word(model, 0, 0, kEax) >= 0xb) {
    for (uint32_t level = 0; level < 2; ++level) {
      CpuidEntry entry{0xb, level, true, {}};
      set_topology(entry, id, vcpus);
      table.push_back(entry);
    }
  }
  return table;
}

Result<void> set_cpuid(int vcpu, const CpuidTable& table) {
  std::vector<std::byte> block = block_of(table.size());
  std::vector<kvm_cpuid_entry2> entries;
  std::ranges::transform(table, std::back_inserter(entries), to_kvm);
  std::memcpy(block.data() + sizeof(kvm_cpuid2), entries.data(),
              entries.size() * sizeof(kvm_cpuid_entry2));
  HUSK_TRY(call(vcpu, HUSK_KVM_CALL(KVM_SET_CPUID2), block.data()));
  return {};
}

}  // namespace husk::kvm
