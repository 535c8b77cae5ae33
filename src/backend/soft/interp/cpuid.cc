// What the built-in CPU says it is. A feature bit here is a duty of the interpreter; what the
// host's own units carry out (SSE3 and later) is offered as far as the host has it.
//
// The vendor is AMD: such guests do not isolate kernel page tables (Meltdown), and AutoIBRS keeps
// them from building return trampolines; both would only cost an interpreter time, as it does not
// speculate.
#include <cpuid.h>

#include <array>
#include <cstring>

#include "backend/soft/interp/cpu.h"

namespace husk::soft::interp {
namespace {

using Regs = std::array<uint32_t, 4>;  // EAX EBX ECX EDX

constexpr uint32_t bit(int n) { return uint32_t{1} << n; }

constexpr uint32_t kApicBase = 0x1b;  // the MSR
constexpr uint32_t kMaxBasic = 0xd, kMaxExtended = 0x80000021, kMaxHypervisor = 0x40000001;

// Leaf 1. ECX: SSE3 PCLMULQDQ SSSE3 CX16 SSE4.1 SSE4.2 x2APIC MOVBE POPCNT TSC-deadline AES
// hypervisor.
constexpr uint32_t kEcxFromHost = bit(0) | bit(1) | bit(9) | bit(19) | bit(20) | bit(23) | bit(25);
constexpr uint32_t kEcxOwn = bit(13) | bit(21) | bit(22) | bit(24) | bit(31);
// EDX: FPU DE PSE TSC MSR PAE CX8 APIC MTRR PGE CMOV PAT PSE-36 CLFLUSH MMX FXSR SSE SSE2.
constexpr uint32_t kEdx = bit(0) | bit(2) | bit(3) | bit(4) | bit(5) | bit(6) | bit(8) | bit(9) |
                          bit(12) | bit(13) | bit(15) | bit(16) | bit(17) | bit(19) | bit(23) |
                          bit(24) | bit(25) | bit(26);
constexpr uint32_t kEdxHtt = bit(28), kEdxApic = bit(9);

Regs host_leaf(uint32_t leaf, uint32_t subleaf) {
  Regs regs{};
  __get_cpuid_count(leaf, subleaf, &regs[0], &regs[1], &regs[2], &regs[3]);
  return regs;
}

Regs vendor(uint32_t max_leaf) {
  return {max_leaf, 0x68747541, 0x444d4163, 0x69746e65};
}  // AuthenticAMD

Regs leaf_1(uint32_t apic_id, uint32_t cpus) {
  constexpr uint32_t kFamily19hModel11h = 0x00a10f11;
  const uint32_t threads = cpus > 1 ? kEdxHtt : 0;
  return {kFamily19hModel11h, apic_id << 24 | (cpus & 0xff) << 16 | 8u << 8,
          (host_leaf(1, 0)[2] & kEcxFromHost) | kEcxOwn, kEdx | threads};
}

// FSGSBASE SMEP ERMS INVPCID ADX SMAP SHA; UMIP; FSRM.
Regs leaf_7() {
  const Regs host = host_leaf(7, 0);
  const uint32_t ebx = bit(0) | bit(7) | bit(9) | bit(10) | bit(19) | bit(20) | (host[1] & bit(29));
  return {0, ebx, bit(2), bit(4)};
}

// Topology: one thread a core, every vCPU a core of one package.
Regs leaf_b(uint32_t subleaf, uint32_t apic_id, uint32_t cpus) {
  uint32_t shift = 0;
  while ((1u << shift) < cpus) ++shift;
  if (subleaf == 0) return {0, 1, 1u << 8, apic_id};
  if (subleaf == 1) return {shift, cpus, 2u << 8 | 1, apic_id};
  return {0, 0, subleaf, apic_id};
}

Regs brand(uint32_t part) {
  static constexpr char kName[48] = "Husk built-in CPU";
  Regs regs;
  std::memcpy(regs.data(), kName + part * 16, 16);
  return regs;
}

// AMD's cache leaf: 32 KiB L1 data and code, 1 MiB L2, 32 MiB L3.
Regs cache_leaf(uint32_t index) {
  struct Cache {
    uint32_t type, level, ways, sets;
  };
  constexpr std::array<Cache, 4> kCaches{
      {{1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 8, 2048}, {3, 3, 16, 32768}}};
  if (index >= kCaches.size()) return {};
  const Cache& cache = kCaches[index];
  return {cache.type | cache.level << 5 | 1u << 8, 63 | (cache.ways - 1) << 22, cache.sets - 1, 0};
}

Regs extended(uint32_t leaf, uint32_t subleaf, uint32_t apic_id, uint32_t cpus) {
  switch (leaf) {
    case 0x80000000:
      return vendor(kMaxExtended);
    case 0x80000001: {
      // LAHF, CMP_LEGACY, 3DNow prefetch, TOPOEXT; SYSCALL NX MMXEXT 1 GiB pages RDTSCP LM.
      const uint32_t ecx = bit(0) | (cpus > 1 ? bit(1) : 0) | bit(8) | bit(22);
      const uint32_t edx =
          (kEdx & 0x0183f3ff) | bit(11) | bit(20) | bit(22) | bit(26) | bit(27) | bit(29);
      return {0x00a10f11, 0, ecx, edx};
    }
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
      return brand(leaf - 0x80000002);
    case 0x80000005:
      return {0, 0, 0x20080140, 0x20080140};
    case 0x80000006:
      return {0, 0, 0x04006140, 0x01009140};
    case 0x80000007:
      return {0, 0, 0, bit(8)};  // invariant TSC
    case 0x80000008: {
      uint32_t bits = 0;
      while ((1u << bits) < cpus) ++bits;
      return {0x3030, bit(26), bits << 12 | (cpus - 1), 0};  // 48/48-bit addresses; SSB_NO
    }
    case 0x8000001d:
      return cache_leaf(subleaf);
    case 0x8000001e:
      return {apic_id, apic_id & 0xff, 0, 0};
    // NO_NESTED_DATA_BP, LFENCE serializes, null selector clears base, AutoIBRS, SRSO_NO;
    // TSA_SQ_NO, TSA_L1_NO.
    case 0x80000021:
      return {bit(0) | bit(2) | bit(6) | bit(8) | bit(29), 0, bit(1) | bit(2), 0};
    default:
      return {};
  }
}

// KVM's paravirtual leaves (Linux, Documentation/virt/kvm/x86/cpuid.rst): clock source 2, stable
// clock, no I/O delay.
Regs hypervisor(uint32_t leaf) {
  if (leaf == 0x40000000) return {kMaxHypervisor, 0x4b4d564b, 0x564b4d56, 0x4d};
  if (leaf == 0x40000001) return {bit(1) | bit(3) | bit(24), 0, 0, 0};
  return {};
}

}  // namespace

void Cpu::cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
  const uint32_t apic_id = env.apic_id();
  const uint32_t cpus = env.vcpu_count();
  Regs result{};
  if (leaf >= 0x80000000) {
    result = extended(leaf, subleaf, apic_id, cpus);
  } else if (leaf >= 0x40000000 && leaf < 0x40000100) {
    result = hypervisor(leaf);
  } else if (leaf <= kMaxBasic) {
    switch (leaf) {
      case 0:
        result = vendor(kMaxBasic);
        break;
      case 1:
        result = leaf_1(apic_id, cpus);
        break;
      case 6:
        result = {bit(2), 0, 0, 0};
        break;  // ARAT
      case 7:
        result = subleaf == 0 ? leaf_7() : Regs{};
        break;
      case 0xb:
        result = leaf_b(subleaf, apic_id, cpus);
        break;
      default:
        break;
    }
  }
  // PCID only where it can be enabled: in every mode, but it is CPUID's business alone here.
  if (leaf == 1) result[2] |= bit(17);
  // A disabled local APIC is none (Intel SDM vol. 3, 11.4.3).
  if ((leaf == 1 || leaf == 0x80000001) &&
      (env.apic_msr_read(kApicBase).value_or(0) & bit(11)) == 0)
    result[3] &= ~kEdxApic;
  for (size_t i = 0; i < 4; ++i) out[i] = result[i];
}

}  // namespace husk::soft::interp
