#include "contract/x86/portable_cpuid.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace husk::contract::x86 {
namespace {

constexpr uint32_t kMaxBasic = 0xd, kMaxExtended = 0x80000008, kKvmBase = 0x40000000;

enum class Vendor : uint8_t { kIntel, kAmd, kOther };

Vendor vendor_of(const CpuidTable& can) {
  const uint32_t first = word(can, 0, 0, kEbx);  // four letters are enough
  if (first == 0x756e6547) return Vendor::kIntel;
  if (first == 0x68747541) return Vendor::kAmd;
  return Vendor::kOther;
}

// Family, model and stepping (SDM vol. 2, CPUID, figure 3-6). Guests choose mitigations by them:
// these are processors that nearly every known weakness is listed for, so that a guest does too
// much rather than too little wherever it comes to run. 06_55H: Skylake's server; 17_31H: Zen 2.
uint32_t signature(const CpuidTable& can, Vendor vendor) {
  if (vendor == Vendor::kIntel) return 0x00050654;
  if (vendor == Vendor::kAmd) return 0x00830f10;
  return word(can, 1, 0, kEax);
}

class Builder {
 public:
  Builder(const CpuidTable& can, Level level) : can_(can), level_(level) {}

  void plain(uint32_t leaf, std::array<uint32_t, 4> regs) {
    table_.push_back({leaf, 0, false, regs});
  }
  void indexed(uint32_t leaf, uint32_t subleaf, std::array<uint32_t, 4> regs) {
    table_.push_back({leaf, subleaf, true, regs});
  }
  // The features of a register that the level allows.
  [[nodiscard]] uint32_t bits(uint32_t leaf, uint32_t subleaf, CpuidRegister reg) const {
    return word(can_, leaf, subleaf, reg) & allowed_bits({leaf, subleaf, reg}, level_);
  }
  CpuidTable take() { return std::move(table_); }

 private:
  const CpuidTable& can_;
  Level level_;
  CpuidTable table_;
};

// Leaf 4's caches (SDM vol. 2, CPUID): two of 32 KiB, 1 MiB, 16 MiB. Who shares them is the
// backend's to write. Leaf 2 says that leaf 4 counts.
void intel_caches(Builder& to) {
  struct Cache {
    uint32_t type, level, ways, sets;
  };
  constexpr std::array kCaches{Cache{1, 1, 8, 64}, Cache{2, 1, 8, 64}, Cache{3, 2, 16, 1024},
                               Cache{3, 3, 16, 16384}};
  to.plain(2, {0x00ff0001, 0, 0, 0});
  for (uint32_t i = 0; i < kCaches.size(); ++i) {
    const Cache& cache = kCaches[i];
    to.indexed(
        4, i,
        {cache.type | cache.level << 5 | 1u << 8, 63 | (cache.ways - 1) << 22, cache.sets - 1, 0});
  }
}

void basic(Builder& to, const CpuidTable& can, Vendor vendor) {
  const auto zero = [&](CpuidRegister reg) { return word(can, 0, 0, reg); };
  to.plain(0, {kMaxBasic, zero(kEbx), zero(kEcx), zero(kEdx)});
  constexpr uint32_t kLinesOf64 = 8u << 8;
  to.plain(1, {signature(can, vendor), kLinesOf64, to.bits(1, 0, kEcx), to.bits(1, 0, kEdx)});
  if (vendor == Vendor::kIntel) intel_caches(to);
  to.plain(6, {to.bits(6, 0, kEax), 0, 0, 0});
  to.indexed(7, 0, {0, to.bits(7, 0, kEbx), to.bits(7, 0, kEcx), to.bits(7, 0, kEdx)});
}

// Leaf 0xd (SDM vol. 1, 13.2 and 13.4.3): AVX is 256 bytes at 576 everywhere; no compacted format.
void extended_state(Builder& to) {
  const uint32_t components = to.bits(0xd, 0, kEax);
  if (components == 0) return;
  constexpr uint32_t kAvxSize = 256, kAvxAt = 576, kArea = kAvxAt + kAvxSize;
  to.indexed(0xd, 0, {components, kArea, kArea, 0});
  to.indexed(0xd, 1, {0, 0, 0, 0});
  to.indexed(0xd, 2, {kAvxSize, kAvxAt, 0, 0});
}

// KVM's clock as the backend has it; its other services are not everywhere.
void hypervisor(Builder& to, const CpuidTable& can) {
  const CpuidEntry* base = find(can, kKvmBase);
  if (base == nullptr) return;
  to.plain(kKvmBase, {kKvmBase + 1, base->regs[kEbx], base->regs[kEcx], base->regs[kEdx]});
  to.plain(kKvmBase + 1, {to.bits(kKvmBase + 1, 0, kEax), 0, 0, 0});
}

void brand(Builder& to, std::string_view model) {
  std::string text = "Husk " + std::string(model);
  text.resize(48);
  for (uint32_t part = 0; part < 3; ++part) {
    std::array<uint32_t, 4> regs{};
    std::memcpy(regs.data(), text.data() + part * 16, 16);
    to.plain(0x80000002 + part, regs);
  }
}

void extended(Builder& to, const CpuidTable& can, Vendor vendor, std::string_view model) {
  constexpr uint32_t kBase = 0x80000000;
  const auto zero = [&](CpuidRegister reg) { return word(can, kBase, 0, reg); };
  to.plain(kBase, {kMaxExtended, zero(kEbx), zero(kEcx), zero(kEdx)});
  const uint32_t id = vendor == Vendor::kAmd ? signature(can, vendor) : 0;
  to.plain(kBase + 1, {id, 0, to.bits(kBase + 1, 0, kEcx), to.bits(kBase + 1, 0, kEdx)});
  brand(to, model);
  if (vendor == Vendor::kAmd) {  // APM vol. 3, E.4.4 and E.4.5: two of 32 KiB, 1 MiB, 32 MiB
    to.plain(kBase + 5, {0, 0, 0x20080140, 0x20080140});
    to.plain(kBase + 6, {0, 0, 0x04006140, 0x01009140});
  }
  constexpr uint32_t kPhysical = 39, kLinear = 48;  // the least that processors with v2 have
  const uint32_t physical = std::min(word(can, kBase + 8, 0, kEax) & 0xff, kPhysical);
  to.plain(kBase + 8, {physical | kLinear << 8, 0, 0, 0});
}

}  // namespace

CpuidTable portable_cpuid(const CpuidTable& can, Level level, std::string_view model) {
  const Vendor vendor = vendor_of(can);
  Builder to(can, level);
  basic(to, can, vendor);
  extended_state(to);
  hypervisor(to, can);
  extended(to, can, vendor, model);
  return to.take();
}

}  // namespace husk::contract::x86
