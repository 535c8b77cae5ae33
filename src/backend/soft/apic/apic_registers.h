// The local APIC's registers by name (Intel SDM vol. 3, tables 11-1 and 11-6). Values only.
#pragma once

#include <cstdint>

namespace husk::soft::apic {

// A register's number: its offset in the xAPIC page is 16 times this, its x2APIC MSR 0x800 more.
enum Register : uint32_t {
  kId = 0x02,
  kVersion = 0x03,
  kTpr = 0x08,
  kApr = 0x09,
  kPpr = 0x0a,
  kEoi = 0x0b,
  kRemoteRead = 0x0c,
  kLdr = 0x0d,
  kDfr = 0x0e,
  kSpurious = 0x0f,
  kIsr = 0x10,  // eight words each
  kTmr = 0x18,
  kIrr = 0x20,
  kEsr = 0x28,
  kIcrLow = 0x30,
  kIcrHigh = 0x31,
  kLvtTimer = 0x32,
  kLvtThermal = 0x33,
  kLvtPerformance = 0x34,
  kLvtLint0 = 0x35,
  kLvtLint1 = 0x36,
  kLvtError = 0x37,
  kInitialCount = 0x38,
  kCurrentCount = 0x39,
  kDivide = 0x3e,
  kSelfIpi = 0x3f,  // x2APIC only
  kRegisterCount = 0x40,
};

constexpr uint32_t kBankWords = 8;           // of ISR, TMR and IRR: 256 vectors
constexpr uint32_t kVersionValue = 0x50014;  // six LVT entries, no EOI-broadcast suppression
constexpr uint32_t kSpuriousEnable = 1u << 8;
constexpr uint32_t kLvtMasked = 1u << 16;

constexpr uint32_t kApicBaseMsr = 0x1b, kTscDeadlineMsr = 0x6e0, kX2apicFirst = 0x800;
constexpr uint64_t kBaseBsp = 1u << 8, kBaseX2apic = 1u << 10, kBaseEnable = 1u << 11;
// MAXPHYADDR is 48 in this CPU's CPUID; reserved are what lies above and the rest of the flags.
constexpr uint64_t kBaseReserved = ~((uint64_t{1} << 48) - 1) | 0x2ff;

// Error Status Register (11.5.3).
constexpr uint32_t kErrorSendIllegal = 1u << 5, kErrorReceiveIllegal = 1u << 6,
                   kErrorIllegalRegister = 1u << 7;

// Lower vectors are the exceptions' and illegal in an interrupt message (11.5.2).
constexpr uint8_t kFirstVector = 16;

// The logical x2APIC ID (11.12.10.2): cluster in the upper half, one bit of sixteen in the lower.
constexpr uint32_t logical_x2apic_id(uint32_t id) { return (id >> 4) << 16 | 1u << (id & 15); }

}  // namespace husk::soft::apic
