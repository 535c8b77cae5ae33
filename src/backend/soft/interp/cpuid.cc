// The vendor is AMD: such guests do not isolate kernel page tables (Meltdown), and AutoIBRS keeps
// them from building return trampolines; both would only cost an interpreter time, as it does not
// speculate.
#include "backend/soft/interp/cpuid.h"

#include <cpuid.h>

#include <array>
#include <cstring>

#include "backend/soft/interp/cpu.h"
#include "base/try.h"
#include "contract/x86/cpu_model.h"

namespace husk::soft::interp {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

namespace {

using Regs = std::array<uint32_t, 4>;  // EAX EBX ECX EDX

constexpr uint32_t bit(int n) { return uint32_t{1} << n; }

constexpr uint32_t kApicBase = 0x1b;  // the MSR
constexpr uint32_t kMaxBasic = 0xd, kMaxExtended = 0x80000021, kMaxHypervisor = 0x40000001;

// Leaf 1. ECX: SSE3 PCLMULQDQ SSSE3 CX16 PCID SSE4.1 SSE4.2 x2APIC MOVBE POPCNT TSC-deadline AES
// hypervisor. PCID only where it can be enabled: in every mode, but it is CPUID's business alone
// here.
constexpr uint32_t kEcxFromHost = bit(0) | bit(1) | bit(9) | bit(19) | bit(20) | bit(23) | bit(25);
constexpr uint32_t kEcxOwn = bit(13) | bit(17) | bit(21) | bit(22) | bit(24) | bit(31);
// EDX: FPU DE PSE TSC MSR PAE CX8 APIC MTRR PGE CMOV PAT PSE-36 CLFLUSH MMX FXSR SSE SSE2.
constexpr uint32_t kEdxOwn = bit(0) | bit(2) | bit(3) | bit(4) | bit(5) | bit(6) | bit(8) | bit(9) |
                             bit(12) | bit(13) | bit(15) | bit(16) | bit(17) | bit(19) | bit(23) |
                             bit(24) | bit(25) | bit(26);
// What x86-64-v3 adds, where the host has it, for such instructions are its own: leaf 1's FMA,
// XSAVE, AVX and F16C; leaf 7's BMI1, AVX2 and BMI2; leaf 80000001's LZCNT.
constexpr uint32_t kV3Leaf1 = bit(12) | bit(26) | bit(28) | bit(29);
constexpr uint32_t kAvx2 = bit(5), kV3Leaf7 = bit(3) | kAvx2 | bit(8), kV3Extended = bit(5);
constexpr uint32_t kOsxsave = bit(27);
constexpr uint32_t kEdxHtt = bit(28), kEdxApic = bit(9), kCmpLegacy = bit(1);
constexpr uint32_t kFamily19hModel11h = 0x00a10f11;

Regs host_leaf(uint32_t leaf, uint32_t subleaf) {
  Regs regs{};
  __get_cpuid_count(leaf, subleaf, &regs[0], &regs[1], &regs[2], &regs[3]);
  return regs;
}

Regs vendor(uint32_t max_leaf) {
  return {max_leaf, 0x68747541, 0x444d4163, 0x69746e65};
}  // AuthenticAMD

// All of it or nothing. OSXSAVE: the host's system keeps YMM registers.
bool host_has_v3() {
  const auto all = [](uint32_t value, uint32_t bits) { return (value & bits) == bits; };
  if (!all(host_leaf(1, 0)[2], kV3Leaf1 | kOsxsave)) return false;
  return __builtin_cpu_supports("avx2") && all(host_leaf(7, 0)[1], kV3Leaf7) &&
         all(host_leaf(0x80000001, 0)[2], kV3Extended);
}

// FSGSBASE SMEP ERMS INVPCID ADX SMAP SHA; UMIP; FSRM.
Regs leaf_7() {
  const Regs host = host_leaf(7, 0);
  const uint32_t ebx = bit(0) | bit(7) | bit(9) | bit(10) | bit(19) | bit(20) | (host[1] & bit(29));
  return {0, ebx | (host_has_v3() ? kV3Leaf7 : 0), bit(2), bit(4)};
}

void add_basic(CpuidTable& table) {
  const auto plain = [&](uint32_t leaf, const Regs& regs) {
    table.push_back({leaf, 0, false, regs});
  };
  plain(0, vendor(kMaxBasic));
  const bool v3 = host_has_v3();
  const uint32_t ecx = (host_leaf(1, 0)[2] & kEcxFromHost) | kEcxOwn | (v3 ? kV3Leaf1 : 0);
  plain(1, {kFamily19hModel11h, 8u << 8, ecx, kEdxOwn});
  plain(6, {bit(2), 0, 0, 0});  // ARAT
  table.push_back({7, 0, true, leaf_7()});
  if (v3) {  // XSAVE in its standard format alone
    constexpr uint32_t kComponents = kXcr0X87 | kXcr0Sse | kXcr0Avx;
    table.push_back({0xd, 0, true, {kComponents, kXsaveArea, kXsaveArea, 0}});
    table.push_back({0xd, 1, true, {}});
    table.push_back({0xd, 2, true, {kXsaveArea - kXsaveUpper, kXsaveUpper, 0, 0}});
  }
  // KVM's paravirtual leaves (Linux, Documentation/virt/kvm/x86/cpuid.rst): clock source 2, stable
  // clock, no I/O delay.
  plain(0x40000000, {kMaxHypervisor, 0x4b4d564b, 0x564b4d56, 0x4d});
  plain(0x40000001, {bit(1) | bit(3) | bit(24), 0, 0, 0});
}

Regs brand(uint32_t part) {
  static constexpr char kName[48] = "Husk built-in CPU";
  Regs regs;
  std::memcpy(regs.data(), kName + part * 16, 16);
  return regs;
}

// AMD's cache leaf: 32 KiB L1 data and code, 1 MiB L2, 32 MiB L3.
void add_caches(CpuidTable& table) {
  struct Cache {
    uint32_t type, level, ways, sets;
  };
  constexpr std::array<Cache, 4> kCaches{
      {{1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 8, 2048}, {3, 3, 16, 32768}}};
  for (uint32_t index = 0; index < kCaches.size(); ++index) {
    const Cache& cache = kCaches[index];
    table.push_back({0x8000001d,
                     index,
                     true,
                     {cache.type | cache.level << 5 | 1u << 8, 63 | (cache.ways - 1) << 22,
                      cache.sets - 1, 0}});
  }
}

void add_extended(CpuidTable& table) {
  const auto plain = [&](uint32_t leaf, const Regs& regs) {
    table.push_back({leaf, 0, false, regs});
  };
  plain(0x80000000, vendor(kMaxExtended));
  // LAHF, 3DNow prefetch, TOPOEXT; SYSCALL NX MMXEXT 1 GiB pages RDTSCP LM.
  plain(0x80000001,
        {kFamily19hModel11h, 0, bit(0) | bit(8) | bit(22) | (host_has_v3() ? kV3Extended : 0),
         (kEdxOwn & 0x0183f3ff) | bit(11) | bit(20) | bit(22) | bit(26) | bit(27) | bit(29)});
  for (uint32_t part = 0; part < 3; ++part) plain(0x80000002 + part, brand(part));
  plain(0x80000005, {0, 0, 0x20080140, 0x20080140});
  plain(0x80000006, {0, 0, 0x04006140, 0x01009140});
  plain(0x80000007, {0, 0, 0, bit(8)});        // invariant TSC
  plain(0x80000008, {0x3030, bit(26), 0, 0});  // 48/48-bit addresses; SSB_NO
  add_caches(table);
  plain(0x8000001e, {});
  // NO_NESTED_DATA_BP, LFENCE serializes, null selector clears base, AutoIBRS, SRSO_NO;
  // TSA_SQ_NO, TSA_L1_NO.
  plain(0x80000021, {bit(0) | bit(2) | bit(6) | bit(8) | bit(29), 0, bit(1) | bit(2), 0});
}

uint32_t bits_for(uint32_t count) {
  uint32_t bits = 0;
  while ((1u << bits) < count) ++bits;
  return bits;
}

void set_topology(CpuidEntry& entry, uint32_t apic_id, uint32_t cpus) {
  switch (entry.leaf) {
    case 1:
      entry.regs[kEbx] |= apic_id << 24 | (cpus & 0xff) << 16;
      if (cpus > 1) entry.regs[kEdx] |= kEdxHtt;
      break;
    case 0x80000001:
      if (cpus > 1) entry.regs[kEcx] |= kCmpLegacy;
      break;
    case 0x80000008:
      entry.regs[kEcx] = bits_for(cpus) << 12 | (cpus - 1);
      break;
    case 0x8000001e:
      entry.regs = {apic_id, apic_id & 0xff, 0, 0};
      break;
    default:
      break;
  }
}

}  // namespace

CpuidTable offered_cpuid() {
  CpuidTable table;
  add_basic(table);
  add_extended(table);
  return table;
}

CpuidTable with_topology(CpuidTable model, uint32_t apic_id, uint32_t cpus) {
  for (CpuidEntry& entry : model) set_topology(entry, apic_id, cpus);
  model.push_back({0xb, 0, true, {0, 1, 1u << 8, apic_id}});
  model.push_back({0xb, 1, true, {bits_for(cpus), cpus, 2u << 8 | 1, apic_id}});
  return model;
}

// Code that was decoded for another processor may mean something else now.
void Cpu::set_shown(CpuidTable table) {
  const bool v3 = (word(table, 7, 0, kEbx) & kAvx2) != 0;
  cpuid_shown_ = std::move(table);
  if (v3 == shows_v3_) return;
  shows_v3_ = v3;
  forget_blocks();
}

void Cpu::show(CpuModel model, CpuidTable table) {
  cpu_model_ = model;
  cpuid_offered_ = table;
  set_shown(std::move(table));
}

// Whatever vendor the guest has seen: this CPU only has to say its name.
Result<void> Cpu::adopt_cpuid(const VcpuState& state) {
  if (!state.cpuid.empty()) HUSK_TRY(require_features(state.cpuid, cpuid_offered_));
  HUSK_TRY(require_components(state, cpuid_offered_));
  if (state.cpuid.empty()) return {};
  cpu_model_ = state.cpu_model;
  set_shown(state.cpuid);
  return {};
}

void Cpu::cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
  Regs result{};
  if (const CpuidEntry* entry = find(cpuid_shown_, leaf, subleaf)) {
    result = entry->regs;
  } else if (leaf == 0xb) {  // a level that is none (SDM vol. 2, CPUID)
    result = {0, 0, subleaf & 0xff, env.apic_id()};
  }
  // A disabled local APIC is none (Intel SDM vol. 3, 11.4.3).
  if ((leaf == 1 || leaf == 0x80000001) &&
      (env.apic_msr_read(kApicBase).value_or(0) & bit(11)) == 0)
    result[3] &= ~kEdxApic;
  if (leaf == 1 && (cr4 & kCr4Osxsave) != 0) result[2] |= kOsxsave;
  if (leaf == 0xd && subleaf == 0 && (xcr0 & kXcr0Avx) == 0 && result[0] != 0)
    result[1] = kXsaveUpper;  // what XCR0 enables takes this much
  for (size_t i = 0; i < 4; ++i) out[i] = result[i];
}

}  // namespace husk::soft::interp
