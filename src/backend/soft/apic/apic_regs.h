// The local APIC's registers by name (Intel SDM vol. 3, table 11-1 and 11-6). Values only.
#pragma once

#include <cstdint>

namespace husk::soft {

// Index of a register: its offset in the xAPIC page is 16 times this, its x2APIC MSR is 0x800 plus
// this.
enum ApicReg : uint32_t {
  kRegId = 0x02,
  kRegVersion = 0x03,
  kRegTpr = 0x08,
  kRegApr = 0x09,
  kRegPpr = 0x0a,
  kRegEoi = 0x0b,
  kRegRrd = 0x0c,
  kRegLdr = 0x0d,
  kRegDfr = 0x0e,
  kRegSvr = 0x0f,
  kRegIsr = 0x10,  // eight words each
  kRegTmr = 0x18,
  kRegIrr = 0x20,
  kRegEsr = 0x28,
  kRegIcrLow = 0x30,
  kRegIcrHigh = 0x31,
  kRegLvtTimer = 0x32,
  kRegLvtThermal = 0x33,
  kRegLvtPerf = 0x34,
  kRegLvtLint0 = 0x35,
  kRegLvtLint1 = 0x36,
  kRegLvtError = 0x37,
  kRegInitialCount = 0x38,
  kRegCurrentCount = 0x39,
  kRegDivide = 0x3e,
  kRegSelfIpi = 0x3f,
  kRegCount = 0x40,
};

constexpr uint32_t kMsrApicBase = 0x1b;
constexpr uint32_t kMsrTscDeadline = 0x6e0;
constexpr uint32_t kMsrX2Apic = 0x800;      // first of the x2APIC range
constexpr uint32_t kMsrX2ApicLast = 0x8ff;  // all of it is the local APIC's (table 11-6)

constexpr uint64_t kApicBaseDefault = 0xfee00000;
constexpr uint64_t kApicBaseBsp = 1u << 8, kApicBaseX2 = 1u << 10, kApicBaseEnable = 1u << 11;
constexpr uint64_t kApicBaseAddress = 0x000ffffffffff000;

constexpr uint32_t kSvrEnable = 1u << 8, kSvrSuppressBroadcast = 1u << 12;
constexpr uint32_t kLvtMasked = 1u << 16;
constexpr uint32_t kVersionSuppressBroadcast = 1u << 24;

// Error Status Register (11.5.3).
constexpr uint32_t kErrSendVector = 1u << 5, kErrReceiveVector = 1u << 6, kErrRegister = 1u << 7;

// Vectors below are reserved for exceptions and illegal in an interrupt message (11.5.2).
constexpr uint8_t kFirstLegalVector = 16;

}  // namespace husk::soft
