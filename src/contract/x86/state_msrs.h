// The model-specific registers that belong to the canonical vCPU state, besides EFER, the local
// APIC's and the time-stamp counter's, which have places of their own.
#pragma once

#include <cstdint>

#include "contract/x86/vcpu_state.h"

namespace husk::contract::x86 {

// Ascending. TSC_ADJUST, SPEC_CTRL, SYSENTER, MISC_ENABLE, MTRRs, PAT, kvmclock, SYSCALL, bases,
// TSC_AUX.
constexpr uint32_t kStateMsrs[] = {
    0x3b,       0x48,       0x174,      0x175,      0x176,      0x1a0,      0x200,      0x201,
    0x202,      0x203,      0x204,      0x205,      0x206,      0x207,      0x208,      0x209,
    0x20a,      0x20b,      0x20c,      0x20d,      0x20e,      0x20f,      0x250,      0x258,
    0x259,      0x268,      0x269,      0x26a,      0x26b,      0x26c,      0x26d,      0x26e,
    0x26f,      0x277,      0x2ff,      0x4b564d00, 0x4b564d01, 0xc0000081, 0xc0000082, 0xc0000083,
    0xc0000084, 0xc0000102, 0xc0000103,
};
// KVM's asynchronous page faults and their vector, steal time, end of interrupt (Linux,
// Documentation/virt/kvm/x86/msr.rst): part of the state where the guest has switched them on. A
// guest that waits for a page is woken by the first, and one that leaves it to KVM to flush the TLB
// of a vCPU that does not run relies on steal time.
constexpr uint32_t kKvmServiceMsrs[] = {0x4b564d02, 0x4b564d03, 0x4b564d04, 0x4b564d06};
constexpr uint32_t kMsrTsc = 0x10, kMsrTscAdjust = 0x3b, kMsrApicBase = 0x1b,
                   kMsrTscDeadline = 0x6e0, kMsrKvmclock = 0x4b564d01;

// Null: the state has none.
inline const Msr* find_msr(const VcpuState& state, uint32_t index) {
  for (const Msr& msr : state.msrs) {
    if (msr.index == index) return &msr;
  }
  return nullptr;
}

// What a TSC of this rate counts in so many nanoseconds.
constexpr uint64_t tsc_ticks(uint64_t ns, uint64_t khz) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(ns) * khz / 1'000'000);
}

// The time that the state's TSC shows; 0 without its rate.
inline uint64_t tsc_ns(const VcpuState& state) {
  const Msr* const tsc = find_msr(state, kMsrTsc);
  if (tsc == nullptr || state.tsc_khz == 0) return 0;
  return static_cast<uint64_t>(static_cast<unsigned __int128>(tsc->value) * 1'000'000 /
                               state.tsc_khz);
}

// Whether the guest has switched kvmclock on, and was not promised a TSC that keeps its rate
// (APM vol. 3, E.4.6: "TscInvariant").
inline bool lives_by_kvmclock(const VcpuState& state) {
  const Msr* const kvmclock = find_msr(state, kMsrKvmclock);
  return kvmclock != nullptr && (kvmclock->value & 1) != 0 &&
         (word(state.cpuid, 0x80000007, 0, kEdx) >> 8 & 1) == 0;
}

// A guest has two clocks, kvmclock and the TSC, and a restore sets both to one time: to kvmclock's
// of a guest that lives by it, for a TSC's rate is known with some error only, else to the later
// one's. A timer's deadline is as far from the TSC as before.
inline void settle_time(VcpuState& state, uint64_t kvmclock_ns) {
  const Msr* const tsc = find_msr(state, kMsrTsc);
  if (tsc == nullptr || state.tsc_khz == 0) return;
  if (!lives_by_kvmclock(state) && tsc_ns(state) >= kvmclock_ns) return;
  const uint64_t by = tsc_ticks(kvmclock_ns, state.tsc_khz) - tsc->value;
  for (Msr& msr : state.msrs) {
    if (msr.index == kMsrTsc || (msr.index == kMsrTscDeadline && msr.value != 0)) msr.value += by;
  }
}

}  // namespace husk::contract::x86
