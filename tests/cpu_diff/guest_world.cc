#include "cpu_diff/guest_world.h"

#include <array>
#include <cstring>

#include "base/try.h"
#include "cpu_diff/form.h"
#include "cpu_diff/layout.h"

namespace husk::cpu_diff {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

constexpr uint64_t kPml4 = 0x1000, kLowTable = 0x2000, kLowDirectory = 0x3000, kPages = 0x4000,
                   kHighTable = 0x5000, kHighDirectory = 0x6000, kGdt = 0x7000, kIdt = 0x8000,
                   kTss = 0x7800;
constexpr uint64_t kHandlersGpa = 0xa000;
constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4, kLarge = 0x80,
                   kNoExecute = uint64_t{1} << 63;
constexpr uint16_t kKernelCs = 0x10, kTssSelector = 0x40;
constexpr uint8_t kHlt = 0xf4;

constexpr uint64_t kUserCodeDescriptor = 0x00affb000000ffff,
                   kUserDataDescriptor = 0x00cff3000000ffff,
                   kKernelCodeDescriptor = 0x00af9b000000ffff,
                   kKernelDataDescriptor = 0x00cf93000000ffff;
constexpr uint16_t kUserCodeAttributes = 0x0afb, kUserDataAttributes = 0x0cf3;

}  // namespace

Result<GuestWorld> GuestWorld::create() {
  GuestWorld world;
  const std::array<memory::RegionSpec, 1> regions{{{Gpa{0}, kRamSize}}};
  world.memory_ = HUSK_TRY(memory::GuestMemory::create(regions));
  world.map_pages();
  world.fill_tables();
  world.fill_state();
  return world;
}

void GuestWorld::store(uint64_t gpa, uint64_t value) { std::memcpy(host(gpa, 8), &value, 8); }

void GuestWorld::map_pages() {
  static_assert(kCode >> 30 == 1 && kData >> 30 == 1 && kCode >> 21 == kData >> 21);
  const uint64_t table = kPresent | kWritable | kUser;
  store(kPml4, kLowTable | table);
  store(kPml4 + 511 * 8, kHighTable | kPresent | kWritable);
  store(kLowTable + 8, kLowDirectory | table);
  store(kLowDirectory + (kCode >> 21 & 511) * 8, kPages | table);
  for (uint64_t page = 0; page < 2; ++page) {
    const uint64_t offset = page * kPage;
    store(kPages + ((kCode + offset) >> 12 & 511) * 8, (kCodeGpa + offset) | table);
    store(kPages + ((kData + offset) >> 12 & 511) * 8, (kDataGpa + offset) | table | kNoExecute);
  }
  store(kHighTable + 510 * 8, kHighDirectory | kPresent | kWritable);
  store(kHighDirectory, kPresent | kWritable | kLarge);
}

void GuestWorld::set_access(size_t page, PageAccess access) {
  const uint64_t offset = page * kPage;
  uint64_t entry = (kDataGpa + offset) | kPresent | kWritable | kUser | kNoExecute;
  if (access == PageAccess::kRead) entry &= ~kWritable;
  if (access == PageAccess::kNone) entry &= ~kPresent;
  store(kPages + ((kData + offset) >> 12 & 511) * 8, entry);
}

void GuestWorld::fill_tables() {
  store(kGdt + kKernelCs, kKernelCodeDescriptor);
  store(kGdt + 0x18, kKernelDataDescriptor);
  store(kGdt + (kUserSs & ~7), kUserDataDescriptor);
  store(kGdt + (kUserCs & ~7), kUserCodeDescriptor);
  const uint64_t stack = kStackTop;
  std::memcpy(host(kTss + 4, 8), &stack, 8);  // RSP0
  const uint16_t no_ports = 0x68;             // the permission bitmap would start beyond the limit
  std::memcpy(host(kTss + 0x66, 2), &no_ports, 2);
  std::memset(host(kHandlersGpa, 256), kHlt, 256);
  for (uint64_t vector = 0; vector < 256; ++vector) {
    const uint64_t handler = kHandlers + vector;
    const uint64_t level = vector == 3 || vector == 4 ? 3 : 0;
    constexpr uint64_t kInterruptGate = 0x8e;
    store(kIdt + vector * 16, (handler & 0xffff) | uint64_t{kKernelCs} << 16 |
                                  (kInterruptGate | level << 5) << 40 |
                                  (handler >> 16 & 0xffff) << 48);
    store(kIdt + vector * 16 + 8, handler >> 32);
  }
}

void GuestWorld::fill_state() {
  state_.segments[kCs] = {kUserCs, kUserCodeAttributes, 0xffffffff, 0};
  state_.segments[kSs] = {kUserSs, kUserDataAttributes, 0xffffffff, 0};
  state_.tr = {kTssSelector, 0x008b, 0x67, kKernel + kTss};
  state_.gdtr = {kKernel + kGdt, 0x4f};
  state_.idtr = {kKernel + kIdt, 0xfff};
  state_.cr0 = 0x80050033;  // PG AM WP NE ET MP PE
  state_.cr3 = kPml4;
  state_.cr4 = 0x10620;  // FSGSBASE OSXMMEXCPT OSFXSR PAE
  if (host_has_v3()) {
    state_.cr4 |= 1u << 18;  // OSXSAVE
    state_.xcr0 = 7;
  }
  state_.efer = 0xd01;  // NXE LMA LME SCE
  state_.rip = kCode;
}

}  // namespace husk::cpu_diff
