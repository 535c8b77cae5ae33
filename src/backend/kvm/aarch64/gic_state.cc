// The vGIC's registers and their canonical form, both ways. Offsets and encodings: Arm IHI 0069,
// 12.8 to 12.10 and the ICC registers' pages; what each attribute means: arm-vgic-v3.rst.

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "backend/kvm/aarch64/gic.h"
#include "backend/kvm/aarch64/gic_registers.h"
#include "base/try.h"

namespace husk::kvm {

using contract::aarch64::GicRegister;
using contract::aarch64::GicState;
using contract::aarch64::GicVcpuState;

namespace {

constexpr uint32_t kDist = KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
constexpr uint32_t kRedist = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS;
constexpr uint32_t kCpu = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS;
constexpr uint32_t kLevels = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;

// Registers with bits for every interrupt: so many bits each, from an offset on. The set-enable and
// set-active registers stand for their clear- twins; a write of user space to set-pending sets and
// clears.
struct PerInterrupt {
  uint64_t offset;
  uint32_t bits;
};
constexpr PerInterrupt kGroup{0x80, 1}, kEnable{0x100, 1}, kPending{0x200, 1}, kActive{0x300, 1},
    kPriority{0x400, 8}, kConfig{0xc00, 2};
constexpr std::array kPerInterrupt{kGroup, kEnable, kPending, kActive, kPriority, kConfig};
constexpr uint64_t kClearEnable = 0x180, kClearActive = 0x380;

constexpr uint64_t kCtlr = 0, kIidr = 8, kRouter = 0x6000;  // of the distributor
constexpr uint64_t kWaker = 0x14, kSgiFrame = 0x10000;      // of a redistributor

constexpr uint64_t icc(uint64_t op1, uint64_t crn, uint64_t crm, uint64_t op2) {
  return uint64_t{3} << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
}
constexpr uint64_t kAp0r0 = icc(0, 12, 8, 4), kAp1r0 = icc(0, 12, 9, 0);
constexpr std::array kCpuInterface{
    icc(0, 4, 6, 0),    // ICC_PMR_EL1
    icc(0, 12, 8, 3),   // ICC_BPR0_EL1
    kAp0r0,             // active priorities: more of them with more bits of priority
    kAp0r0 + 1,         //
    kAp0r0 + 2,         //
    kAp0r0 + 3,         //
    kAp1r0,             //
    kAp1r0 + 1,         //
    kAp1r0 + 2,         //
    kAp1r0 + 3,         //
    icc(0, 12, 12, 3),  // ICC_BPR1_EL1
    icc(0, 12, 12, 4),  // ICC_CTLR_EL1
    icc(0, 12, 12, 5),  // ICC_SRE_EL1
    icc(0, 12, 12, 6),  // ICC_IGRPEN0_EL1
    icc(0, 12, 12, 7),  // ICC_IGRPEN1_EL1
};

bool only_with_many_priorities(uint64_t attr) {
  return (attr > kAp0r0 && attr <= kAp0r0 + 3) || (attr > kAp1r0 && attr <= kAp1r0 + 3);
}

// The upper half of an attribute that belongs to a vCPU: Aff3 to Aff0.
uint64_t vcpu_part(uint64_t mpidr) {
  return ((mpidr >> 32 & 0xff) << 24 | (mpidr & 0xff'ffff)) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
}

// Every register of `kPerInterrupt` for the interrupts from `first` up to `end`.
template <class Use>
Result<void> each_per_interrupt(uint64_t frame, uint32_t first, uint32_t end, Use&& use) {
  for (const PerInterrupt& kind : kPerInterrupt) {
    for (uint32_t bit = first * kind.bits; bit < end * kind.bits; bit += 32)
      HUSK_TRY(use(frame + kind.offset + bit / 8));
  }
  return {};
}

// One vCPU's attributes, or the distributor's with vcpu 0.
class Registers {
 public:
  Registers(int device, uint64_t vcpu) : device_(device), vcpu_(vcpu) {}

  Result<void> read32(uint32_t group, uint64_t attr, std::vector<GicRegister>& list) const {
    const auto value = HUSK_TRY(get_gic<uint32_t>(device_, group, vcpu_ | attr));
    list.push_back({group, attr, value});
    return {};
  }
  Result<void> read64(uint32_t group, uint64_t attr, std::vector<GicRegister>& list) const {
    const auto value = HUSK_TRY(get_gic<uint64_t>(device_, group, vcpu_ | attr));
    list.push_back({group, attr, value});
    return {};
  }
  Result<void> clear(uint32_t group, uint64_t attr) const {
    return set_gic<uint32_t>(device_, group, vcpu_ | attr, ~uint32_t{0});
  }
  // What a state says comes from outside: the groups are those that hold registers of this place.
  Result<void> write(const std::vector<GicRegister>& list,
                     std::initializer_list<uint32_t> groups) const {
    for (const GicRegister& reg : list) {
      const bool wide = reg.group == kCpu;
      if (std::ranges::find(groups, reg.group) == groups.end() || reg.attr >> 32 != 0 ||
          (!wide && reg.value >> 32 != 0))
        return fail(ErrorKind::kCorrupt, "GIC state",
                    fmt::format("has no such register as {}:{:#x}", reg.group, reg.attr));
      auto set =
          wide ? set_gic(device_, reg.group, vcpu_ | reg.attr, reg.value)
               : set_gic(device_, reg.group, vcpu_ | reg.attr, static_cast<uint32_t>(reg.value));
      if (set) continue;
      Error error = set.error();
      error.subject = fmt::format("GIC register {}:{:#x}", reg.group, reg.attr);
      return std::unexpected(std::move(error));
    }
    return {};
  }

 private:
  int device_;
  uint64_t vcpu_;
};

Result<std::vector<GicRegister>> capture_distributor(int device) {
  const Registers from(device, 0);
  std::vector<GicRegister> list;
  const auto read = [&](uint64_t attr) { return from.read32(kDist, attr, list); };
  HUSK_TRY(read(kCtlr));
  HUSK_TRY(read(kIidr));
  HUSK_TRY(each_per_interrupt(0, Gic::kPrivate, Gic::kInterrupts, read));
  for (uint32_t id = Gic::kPrivate; id < Gic::kInterrupts; ++id) {
    HUSK_TRY(read(kRouter + uint64_t{id} * 8));
    HUSK_TRY(read(kRouter + uint64_t{id} * 8 + 4));
  }
  for (uint32_t id = Gic::kPrivate; id < Gic::kInterrupts; id += 32)
    HUSK_TRY(from.read32(kLevels, id, list));
  return list;
}

Result<GicVcpuState> capture_vcpu(int device, uint64_t mpidr) {
  const Registers from(device, vcpu_part(mpidr));
  GicVcpuState state;
  state.mpidr = mpidr;
  const auto read = [&](uint64_t attr) { return from.read32(kRedist, attr, state.redistributor); };
  HUSK_TRY(read(kCtlr));
  HUSK_TRY(read(kWaker));
  HUSK_TRY(each_per_interrupt(kSgiFrame, 0, Gic::kPrivate, read));
  HUSK_TRY(from.read32(kLevels, 0, state.redistributor));
  for (const uint64_t attr : kCpuInterface) {
    const auto done = from.read64(kCpu, attr, state.cpu_interface);
    if (!done && !only_with_many_priorities(attr)) return std::unexpected(done.error());
  }
  return state;
}

// Registers that only set bits find them clear.
Result<void> clear(const Registers& to, uint32_t group, uint64_t frame, uint32_t first,
                   uint32_t end) {
  for (uint32_t id = first; id < end; id += 32) {
    HUSK_TRY(to.clear(group, frame + kClearEnable + id / 8));
    HUSK_TRY(to.clear(group, frame + kClearActive + id / 8));
  }
  return {};
}

Result<void> restore_vcpu(int device, const GicVcpuState& state) {
  const Registers to(device, vcpu_part(state.mpidr));
  HUSK_TRY(clear(to, kRedist, kSgiFrame, 0, Gic::kPrivate));
  HUSK_TRY(to.write(state.redistributor, {kRedist, kLevels}));
  return to.write(state.cpu_interface, {kCpu});
}

}  // namespace

Result<GicState> Gic::capture(std::span<const uint64_t> mpidrs) const {
  GicState state;
  state.distributor = HUSK_TRY(capture_distributor(device_.get()));
  for (const uint64_t mpidr : mpidrs)
    state.vcpus.push_back(HUSK_TRY(capture_vcpu(device_.get(), mpidr)));
  return state;
}

Result<void> Gic::restore(const GicState& state, std::span<const uint64_t> mpidrs) const {
  if (!std::ranges::equal(state.vcpus, mpidrs, {}, &GicVcpuState::mpidr))
    return fail(ErrorKind::kInvalidArgument, "GIC state", "is of a machine with other vCPUs");
  const Registers to(device_.get(), 0);
  HUSK_TRY(clear(to, kDist, 0, kPrivate, kInterrupts));
  HUSK_TRY(to.write(state.distributor, {kDist, kLevels}));
  for (const GicVcpuState& vcpu : state.vcpus) HUSK_TRY(restore_vcpu(device_.get(), vcpu));
  return {};
}

}  // namespace husk::kvm
