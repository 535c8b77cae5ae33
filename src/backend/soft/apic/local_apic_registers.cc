// The local APIC's registers as the guest reads and writes them: the xAPIC page, the x2APIC MSRs,
// IA32_APIC_BASE.
#include "backend/soft/apic/apic_bus.h"
#include "backend/soft/apic/local_apic.h"

namespace husk::soft::apic {

using contract::DeliveryMode;

namespace {

constexpr uint32_t kSharedBits =
    0x5000;  // delivery status and remote IRR of an LVT entry: written by the APIC
constexpr uint32_t kIcrReserved = 0xfff32000, kIcrStatus = 1u << 12, kIcrAssert = 1u << 14,
                   kIcrLevel = 1u << 15;

constexpr bool is_bank(uint32_t reg) { return reg >= kIsr && reg < kEsr; }
constexpr bool moves_timer(uint32_t reg) {
  return reg == kLvtTimer || reg == kSpurious || reg == kInitialCount || reg == kDivide;
}
constexpr bool is_lvt(uint32_t reg) { return reg >= kLvtTimer && reg <= kLvtError; }

// The bits that software can write, or nullopt where there is no register to write (tables 11-1,
// 11-6).
constexpr std::optional<uint32_t> writable_bits(uint32_t reg, bool x2) {
  switch (reg) {
    case kTpr:
      return 0xff;
    case kEoi:
      return x2 ? 0 : ~0u;
    case kEsr:
      return x2 ? 0 : ~0u;
    case kSpurious:
      return 0x1ff;
    case kLvtTimer:
      return 0x700ff;
    case kLvtThermal:
    case kLvtPerformance:
      return 0x107ff;
    case kLvtLint0:
    case kLvtLint1:
      return 0x1a7ff;
    case kLvtError:
      return 0x100ff;
    case kInitialCount:
      return ~0u;
    case kDivide:
      return 0xb;
    default:
      break;
  }
  if (x2) return reg == kSelfIpi ? std::optional(0xffu) : std::nullopt;
  switch (reg) {
    case kLdr:
      return 0xff000000;
    case kDfr:
      return 0xf0000000;
    case kIcrLow:
      return ~(kIcrReserved | kIcrStatus);
    case kIcrHigh:
      return 0xff000000;
    default:
      return std::nullopt;
  }
}

// Registers that can be read; the xAPIC page also has those that only read as 0.
constexpr bool readable(uint32_t reg, bool x2) {
  if (is_bank(reg) || is_lvt(reg)) return true;
  switch (reg) {
    case kId:
    case kVersion:
    case kTpr:
    case kPpr:
    case kLdr:
    case kSpurious:
    case kEsr:
    case kIcrLow:
    case kInitialCount:
    case kCurrentCount:
    case kDivide:
      return true;
    case kApr:
    case kEoi:
    case kRemoteRead:
    case kDfr:
    case kIcrHigh:
      return !x2;
    default:
      return false;
  }
}

}  // namespace

std::optional<uint64_t> LocalApic::page() const {
  const uint64_t base = base_.load(std::memory_order_relaxed);
  if ((base & (kBaseEnable | kBaseX2apic)) != kBaseEnable) return std::nullopt;
  return base & ~uint64_t{0xfff};
}

// A register's value without what reading it does.
uint32_t LocalApic::peek(uint32_t reg, uint64_t now_ns) const {
  switch (reg) {
    case kId:
      return x2apic() ? id_ : id_ << 24;
    case kVersion:
      return kVersionValue;
    case kPpr:
      return priority();
    case kLdr:
      return x2apic() ? logical_x2apic_id(id_) : get(kLdr);
    case kInitialCount:
      return timer_.initial_count();
    case kCurrentCount:
      return timer_.current_count(now_ns);
    default:
      return get(reg);
  }
}

// `value` holds writable bits only.
void LocalApic::poke(uint32_t reg, uint32_t value) {
  if (moves_timer(reg)) update_timer(clock_());  // what is due by now is due by the old values
  if (is_lvt(reg)) return write_lvt(reg, value);
  switch (reg) {
    case kEoi:
      return end_of_interrupt();
    case kSpurious:
      return write_spurious(value);
    case kEsr:
      return set(kEsr, errors_.exchange(0, std::memory_order_acq_rel));
    case kDfr:
      return set(kDfr, value | 0x0fffffff);
    case kIcrLow:
      set(kIcrLow, value);
      return send(value, get(kIcrHigh) >> 24);
    case kSelfIpi:
      return send(value | 1u << 18, 0);
    case kInitialCount:
      return timer_.start(value, clock_());
    case kDivide:
      set(kDivide, value);
      return timer_.set_divisor(divisor(), clock_());
    default:
      set(reg, value);
  }
}

void LocalApic::write_lvt(uint32_t reg, uint32_t value) {
  set(reg, value | (software_enabled() ? 0 : kLvtMasked));
  if (reg == kLvtTimer) timer_.set_mode(static_cast<ApicTimer::Mode>(value >> 17 & 3));
}

// 11.4.7.2: disabled by software the APIC keeps what it holds and masks every LVT entry.
void LocalApic::write_spurious(uint32_t value) {
  set(kSpurious, value);
  if (software_enabled()) return;
  for (uint32_t reg = kLvtTimer; reg <= kLvtError; ++reg) set(reg, get(reg) | kLvtMasked);
}

// Bits 0, 1 and 3 of the register; 7 divides by 1 (figure 11-10).
uint32_t LocalApic::divisor() const {
  const uint32_t code = (get(kDivide) & 3) | (get(kDivide) >> 1 & 4);
  return code == 7 ? 1 : 2u << code;
}

// 11.6.1. Delivery is immediate, an IPI always edge-triggered. The level de-assert of INIT is a
// relic of the 82489DX.
void LocalApic::send(uint32_t icr, uint32_t destination) {
  const auto mode = static_cast<DeliveryMode>(icr >> 8 & 7);
  const auto vector = static_cast<uint8_t>(icr);
  switch (mode) {
    case DeliveryMode::kFixed:
    case DeliveryMode::kLowestPriority:
      if (vector < kFirstVector) return report_error(kErrorSendIllegal);
      break;
    case DeliveryMode::kInit:
      if ((icr & kIcrLevel) != 0 && (icr & kIcrAssert) == 0) return;
      break;
    case DeliveryMode::kNmi:
    case DeliveryMode::kStartup:
      break;
    default:
      return;  // SMI: none here; the others are reserved
  }
  bus_.send(*this, static_cast<ApicBus::Shorthand>(icr >> 18 & 3),
            {.destination = destination,
             .logical = (icr & 1u << 11) != 0,
             .mode = mode,
             .vector = vector});
}

uint64_t LocalApic::read(uint32_t offset, uint32_t size) {
  const uint32_t reg = offset >> 4;
  if (!readable(reg, false)) {
    report_error(kErrorIllegalRegister);
    return 0;
  }
  const uint32_t shift = (offset & 15) * 8;
  if (shift >= 32) return 0;
  const uint64_t value = peek(reg, clock_()) >> shift;
  return size >= 4 ? value : value & ((uint64_t{1} << size * 8) - 1);
}

void LocalApic::write(uint32_t offset, uint32_t size, uint64_t value) {
  if ((offset & 15) != 0 || size < 4) return;
  const uint32_t reg = offset >> 4;
  if (const auto bits = writable_bits(reg, false)) {
    poke(reg, static_cast<uint32_t>(value) & *bits);
  } else if (!readable(reg, false)) {
    report_error(kErrorIllegalRegister);
  }
}

std::optional<uint64_t> LocalApic::read_msr(uint32_t index) {
  if (index == kApicBaseMsr) return base_.load(std::memory_order_relaxed);
  if (index == kTscDeadlineMsr) return timer_.tsc_deadline();
  if (!x2apic() || index < kX2apicFirst) return std::nullopt;
  return read_x2apic(index - kX2apicFirst);
}

bool LocalApic::write_msr(uint32_t index, uint64_t value) {
  if (index == kApicBaseMsr) return write_base(value);
  if (index == kTscDeadlineMsr) {
    update_timer(clock_());
    timer_.set_tsc_deadline(value, tsc_, clock_());
    return true;
  }
  if (!x2apic() || index < kX2apicFirst) return false;
  return write_x2apic(index - kX2apicFirst, value);
}

std::optional<uint64_t> LocalApic::read_x2apic(uint32_t reg) {
  if (!readable(reg, true)) return std::nullopt;
  if (reg == kIcrLow) return uint64_t{get(kIcrHigh)} << 32 | get(kIcrLow);
  return peek(reg, clock_());
}

bool LocalApic::write_x2apic(uint32_t reg, uint64_t value) {
  const auto low = static_cast<uint32_t>(value);
  if (reg == kIcrLow) {
    if ((low & kIcrReserved) != 0) return false;
    set(kIcrHigh, static_cast<uint32_t>(value >> 32));
    set(kIcrLow, low & ~kIcrStatus);
    send(low, get(kIcrHigh));
    return true;
  }
  const auto bits = writable_bits(reg, true);
  const uint32_t ignored = is_lvt(reg) ? kSharedBits : 0;
  if (!bits || (value & ~uint64_t{*bits | ignored}) != 0) return false;
  poke(reg, low & *bits);
  return true;
}

// Figure 11-27: x2APIC mode is entered from xAPIC mode only and left only by disabling.
bool LocalApic::write_base(uint64_t value) {
  const uint64_t from = base_.load(std::memory_order_relaxed) & (kBaseEnable | kBaseX2apic);
  const uint64_t to = value & (kBaseEnable | kBaseX2apic);
  if ((value & kBaseReserved) != 0 || to == kBaseX2apic) return false;
  if (from == (kBaseEnable | kBaseX2apic) && to == kBaseEnable) return false;
  if (from == 0 && to == (kBaseEnable | kBaseX2apic)) return false;
  set_base(value);
  return true;
}

// The BSP flag is the machine's. A disabled APIC loses its state (11.4.3, 11.12.5.1).
void LocalApic::set_base(uint64_t value) {
  base_ = (value & ~kBaseBsp) | (base_ & kBaseBsp);
  if (!hardware_enabled()) reset(true);
}

Result<void> LocalApic::restore_base(uint64_t value) {
  if ((value & kBaseReserved) != 0 || (value & (kBaseEnable | kBaseX2apic)) == kBaseX2apic)
    return fail(ErrorKind::kCorrupt, "IA32_APIC_BASE", "has bits set that no processor allows");
  set_base(value);
  return {};
}

}  // namespace husk::soft::apic
