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
constexpr uint32_t kMsrTsc = 0x10, kMsrTscAdjust = 0x3b, kMsrApicBase = 0x1b,
                   kMsrTscDeadline = 0x6e0;

// What a TSC of this rate counts in so many nanoseconds.
constexpr uint64_t tsc_ticks(uint64_t ns, uint64_t khz) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(ns) * khz / 1'000'000);
}

// The time that the state's TSC shows; 0 without its rate.
inline uint64_t tsc_ns(const VcpuState& state) {
  if (state.tsc_khz == 0) return 0;
  for (const Msr& msr : state.msrs) {
    if (msr.index == kMsrTsc)
      return static_cast<uint64_t>(static_cast<unsigned __int128>(msr.value) * 1'000'000 /
                                   state.tsc_khz);
  }
  return 0;
}

// A guest has two clocks, kvmclock and the TSC. Its time is the later one of them, and a restore
// sets both to that: neither goes back.
inline void advance_tsc(VcpuState& state, uint64_t kvmclock_ns) {
  if (tsc_ns(state) >= kvmclock_ns) return;
  for (Msr& msr : state.msrs) {
    if (msr.index == kMsrTsc) msr.value = tsc_ticks(kvmclock_ns, state.tsc_khz);
  }
}

}  // namespace husk::contract::x86
