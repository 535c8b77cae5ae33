// The local APIC (Intel SDM vol. 3, chapter 11) and the I/O APIC (82093AA data sheet) as a kernel
// meets them.
#pragma once

#include <stdint.h>

#include "cpu.h"

namespace bare {

enum ApicRegister : uint32_t {
  kApicId = 0x20,
  kApicVersion = 0x30,
  kApicTpr = 0x80,
  kApicPpr = 0xa0,
  kApicEoi = 0xb0,
  kApicLdr = 0xd0,
  kApicDfr = 0xe0,
  kApicSvr = 0xf0,
  kApicIsr = 0x100,
  kApicTmr = 0x180,
  kApicIrr = 0x200,
  kApicEsr = 0x280,
  kApicIcrLow = 0x300,
  kApicIcrHigh = 0x310,
  kApicLvtTimer = 0x320,
  kApicLvtLint0 = 0x350,
  kApicLvtError = 0x370,
  kApicInitialCount = 0x380,
  kApicCurrentCount = 0x390,
  kApicDivide = 0x3e0,
};
constexpr uint32_t kIcrSelf = 1u << 18, kIcrAll = 2u << 18, kIcrOthers = 3u << 18,
                   kIcrLogical = 1u << 11, kIcrAssert = 1u << 14, kIcrLevel = 1u << 15,
                   kIcrLowestPriority = 1u << 8, kIcrNmi = 4u << 8, kIcrInit = 5u << 8,
                   kIcrStartup = 6u << 8;
constexpr uint32_t kLvtMasked = 1u << 16, kLvtPeriodic = 1u << 17, kLvtDeadline = 2u << 17,
                   kLvtExtInt = 7u << 8;
constexpr uint32_t kX2Apic = 0x800;  // the MSR of register 0; the others follow by offset / 16
constexpr uint64_t kApicBaseEnable = 1u << 11, kApicBaseX2 = 1u << 10;

inline volatile uint32_t& apic(uint32_t offset) {
  return *reinterpret_cast<volatile uint32_t*>(0xfee00000 + uintptr_t{offset});
}
inline bool apic_bit(uint32_t bank, uint8_t vector) {
  return (apic(bank + vector / 32 * 16) >> vector % 32 & 1) != 0;
}
inline void enable_apic() {
  apic(kApicSvr) = 0x1ff;
  apic(kApicTpr) = 0;
  apic(kApicLvtTimer) = kLvtMasked;
  apic(kApicLvtLint0) = kLvtMasked;
}
inline void send_ipi(uint32_t destination, uint32_t command) {
  apic(kApicIcrHigh) = destination << 24;
  apic(kApicIcrLow) = command | kIcrAssert;
}

inline void ioapic_write(uint32_t index, uint32_t value) {
  *reinterpret_cast<volatile uint32_t*>(0xfec00000) = index;
  *reinterpret_cast<volatile uint32_t*>(0xfec00010) = value;
}
inline uint32_t ioapic_read(uint32_t index) {
  *reinterpret_cast<volatile uint32_t*>(0xfec00000) = index;
  return *reinterpret_cast<volatile uint32_t*>(0xfec00010);
}
constexpr uint32_t kPinLevel = 1u << 15, kPinRemoteIrr = 1u << 14, kPinMasked = 1u << 16;
// To the CPU with APIC ID 0.
inline void set_pin(uint32_t pin, uint32_t low) {
  ioapic_write(0x10 + pin * 2 + 1, 0);
  ioapic_write(0x10 + pin * 2, low);
}
// pc-testdev's interrupt lines.
inline void set_line(uint32_t gsi, bool level) {
  out8(static_cast<uint16_t>(0x2000 + gsi), level ? 1 : 0);
}

}  // namespace bare
