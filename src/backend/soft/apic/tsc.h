// A vCPU's time-stamp counter, as arithmetic on a clock that the caller reads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "contract/x86/state_msrs.h"

namespace husk::soft::apic {

struct Tsc {
  static constexpr uint32_t kNanoseconds = 1'000'000;  // kHz

  uint64_t offset_ns = 0;       // what the machine's time is ahead of CLOCK_MONOTONIC, modulo 2^64
  uint64_t adjust = 0;          // IA32_TSC_ADJUST: the vCPU's own, in ticks, modulo 2^64
  uint32_t khz = kNanoseconds;  // not 0

  bool operator==(const Tsc&) const = default;

  // What it shows at `now_ns` of CLOCK_MONOTONIC.
  [[nodiscard]] uint64_t at(uint64_t now_ns) const {
    const uint64_t ns = now_ns + offset_ns;
    return (khz == kNanoseconds ? ns : contract::x86::tsc_ticks(ns, khz)) + adjust;
  }

  // How long from then on until it shows `tsc`: rounded up, 0 for what is over.
  [[nodiscard]] uint64_t ns_until(uint64_t tsc, uint64_t now_ns) const {
    const uint64_t now = at(now_ns);
    if (tsc <= now) return 0;
    const auto scaled = static_cast<unsigned __int128>(tsc - now) * kNanoseconds;
    return static_cast<uint64_t>(
        std::min<unsigned __int128>((scaled + khz - 1) / khz, ~uint64_t{0}));
  }
};

}  // namespace husk::soft::apic
