// The guest's clock in its memory: kvmclock and the time of day at which it began (Linux,
// Documentation/virt/kvm/x86/msr.rst).
#include <cstring>

#include "backend/soft/interp/cpu.h"
#include "base/clock.h"

namespace husk::soft::interp {
namespace {

// A TSC of `khz` to nanoseconds, as the guest does it: its difference shifted left by `shift`
// (right when negative), then the upper half of the product with `multiplier`. Rounded down.
struct Scale {
  uint32_t multiplier;
  int8_t shift;
};

Scale scale_of(uint32_t khz) {
  constexpr uint64_t kNanoseconds = 1'000'000, kOne = uint64_t{1} << 32;
  uint64_t ratio = kNanoseconds * kOne / khz;  // in units of 2^-32
  int8_t shift = 0;
  for (; ratio >= kOne; ratio /= 2) ++shift;
  // Never below one bit less than 32, whatever the rate.
  if (shift == 0) {
    auto exact = static_cast<unsigned __int128>(kNanoseconds) * kOne;
    for (; exact / khz < kOne / 2; exact *= 2) --shift;
    ratio = static_cast<uint64_t>(exact / khz);
  }
  return {static_cast<uint32_t>(ratio), shift};
}

}  // namespace

// struct pvclock_vcpu_time_info. The TSC does not change its pace, so what is written once stays
// true until the state is restored elsewhere: the machine's time was 0 when the TSC was its adjust.
void Cpu::write_kvmclock(uint64_t msr_value) {
  kvm_system_time = msr_value;
  if ((msr_value & 1) == 0) return;
  const Scale scale = scale_of(env.tsc_khz());
  const uint64_t gpa = msr_value & ~uint64_t{1};
  struct {
    uint32_t version = 0;
    uint32_t pad0 = 0;
    uint64_t tsc_timestamp = 0;
    uint64_t system_time = 0;
    uint32_t tsc_to_system_mul = 0;
    int8_t tsc_shift = 0;
    uint8_t flags = 1;  // stable across vCPUs
    uint8_t pad[2] = {};
  } info;
  static_assert(sizeof(info) == 32);
  info.version = next_version(gpa);
  info.tsc_timestamp = tsc_adjust;
  info.tsc_to_system_mul = scale.multiplier;
  info.tsc_shift = scale.shift;
  write_physical(gpa, &info, sizeof(info));
}

// Even, and another one than before: a guest that is between the two looks at it which make sure
// that it has read one clock reads again.
uint32_t Cpu::next_version(uint64_t gpa) {
  uint32_t version = 0;
  const mmu::PageRef page = memory.page(gpa);
  if (page.host != nullptr && gpa % kPageSize + sizeof(version) <= kPageSize)
    std::memcpy(&version, page.host + gpa % kPageSize, sizeof(version));
  return (version | 1) + 1;
}

// struct pvclock_wall_clock: the time of day at which the system time was zero.
void Cpu::write_wall_clock(uint64_t gpa) {
  kvm_wall_clock = gpa;
  if (gpa == 0) return;  // none, as KVM has it; a restored state says so
  const uint64_t boot_ns = base::realtime_ns() - env.guest_ns();
  const uint32_t clock[3] = {2, static_cast<uint32_t>(boot_ns / 1'000'000'000),
                             static_cast<uint32_t>(boot_ns % 1'000'000'000)};
  write_physical(gpa & ~uint64_t{3}, clock, sizeof(clock));
}

void Cpu::write_physical(uint64_t gpa, const void* data, uint32_t size) {
  const mmu::PageRef page = memory.page(gpa);
  if (page.host == nullptr || gpa % kPageSize + size > kPageSize) return;
  std::memcpy(page.host + gpa % kPageSize, data, size);
  if (memory.dirty_log() != nullptr) memory.dirty_log()->mark_dirty(Gpa{gpa}, size);
  if (page.state->code_epoch.load(std::memory_order_acquire) != 0)
    page.state->generation.fetch_add(1, std::memory_order_acq_rel);
}

}  // namespace husk::soft::interp
