#include "backend/soft/apic/local_apic.h"

#include <bit>
#include <cstring>

#include "backend/soft/apic/apic_bus.h"
#include "base/clock.h"

namespace husk::soft::apic {

using contract::DeliveryMode;
using contract::InterruptMessage;

namespace {

// Register numbers: offset in the xAPIC page / 16, which is also the x2APIC MSR less 0x800.
enum Register : uint32_t {
  kId = 0x02, kVersion = 0x03, kTpr = 0x08, kApr = 0x09, kPpr = 0x0a, kEoi = 0x0b, kRemoteRead = 0x0c, kLdr = 0x0d,
  kDfr = 0x0e, kSpurious = 0x0f, kIsr = 0x10, kTmr = 0x18, kIrr = 0x20, kEsr = 0x28, kCmci = 0x2f, kIcrLow = 0x30,
  kIcrHigh = 0x31, kLvtFirst = 0x32, kLvtLast = 0x37, kInitialCount = 0x38, kCurrentCount = 0x39, kDivide = 0x3e,
  kSelfIpi = 0x3f,
};

constexpr uint32_t kVersionValue = 0x50014;  // six LVT entries, no EOI-broadcast suppression
constexpr uint32_t kMasked = 1u << 16;
constexpr uint32_t kErrorSendIllegal = 1u << 5, kErrorReceiveIllegal = 1u << 6, kErrorIllegalRegister = 1u << 7;
constexpr uint64_t kBaseBsp = 0x100, kBaseX2apic = 0x400, kBaseEnable = 0x800;
constexpr uint32_t kApicBaseMsr = 0x1b, kTscDeadlineMsr = 0x6e0, kX2apicFirst = 0x800;

enum class TimerMode { kOneShot, kPeriodic, kTscDeadline, kReserved };
TimerMode timer_mode(uint32_t lvt) { return static_cast<TimerMode>(lvt >> 17 & 3); }

// Writable bits of each LVT entry.
constexpr std::array<uint32_t, 6> kLvtWritable{0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};

uint32_t logical_x2apic_id(uint32_t id) { return (id >> 4) << 16 | 1u << (id & 15); }

}  // namespace

LocalApic::LocalApic(uint32_t id, ApicBus& bus, VcpuSignal& signal) : id_(id), bus_(bus), signal_(signal) {
  base_ = kDefaultBase | kBaseEnable | (id == 0 ? kBaseBsp : 0);
  reset(false);
}

void LocalApic::reset(bool keep_id_and_mode) {
  if (!keep_id_and_mode) base_ = kDefaultBase | kBaseEnable | (base_ & kBaseBsp);
  task_priority_ = 0;
  logical_destination_ = 0;
  destination_format_ = ~0u;
  spurious_ = 0xff;
  for (Bits* bits : {&in_service_, &requested_, &level_}) {
    for (auto& word : *bits) word = 0;
  }
  error_status_ = 0;
  error_pending_ = 0;
  command_ = 0;
  for (auto& entry : lvt_) entry = kMasked;
  initial_count_ = divide_ = 0;
  timer_start_ = tsc_deadline_ = deadline_ = 0;
  // As firmware leaves it: virtual wire mode (Intel MultiProcessor Specification, 3.6.2.1).
  if (id_ == 0 && !keep_id_and_mode) {
    spurious_ = 0x1ff;
    lvt_[kLvtLint0] = static_cast<uint32_t>(DeliveryMode::kExtInt) << 8;
    lvt_[kLvtLint1] = static_cast<uint32_t>(DeliveryMode::kNmi) << 8;
  }
}

std::optional<uint64_t> LocalApic::page() const {
  if ((base_ & (kBaseEnable | kBaseX2apic)) != kBaseEnable) return std::nullopt;
  return base_ & ~uint64_t{0xfff};
}

int LocalApic::highest(const Bits& bits) {
  for (int word = 7; word >= 0; --word) {
    const uint32_t value = bits[static_cast<size_t>(word)].load(std::memory_order_acquire);
    if (value != 0) return word * 32 + 31 - std::countl_zero(value);
  }
  return -1;
}

uint8_t LocalApic::priority() const {
  const int serving = highest(in_service_);
  const int isr_class = serving < 0 ? 0 : serving & 0xf0;
  if ((task_priority_ & 0xf0) >= isr_class) return task_priority_;
  return static_cast<uint8_t>(isr_class);
}

bool LocalApic::has_interrupt() const {
  if (extint_.load(std::memory_order_acquire)) {
    const uint32_t lint0 = lvt_[kLvtLint0];
    const bool wired = (lint0 & kMasked) == 0 && (lint0 >> 8 & 7) == static_cast<uint32_t>(DeliveryMode::kExtInt);
    if (wired || (base_ & kBaseEnable) == 0) return true;
  }
  if (!enabled()) return false;
  const int vector = highest(requested_);
  return vector >= 0 && (vector & 0xf0) > (priority() & 0xf0);
}

std::optional<uint8_t> LocalApic::take_interrupt() {
  const int vector = enabled() ? highest(requested_) : -1;
  if (vector >= 0 && (vector & 0xf0) > (priority() & 0xf0)) {
    const auto word = static_cast<size_t>(vector / 32);
    const uint32_t bit = 1u << vector % 32;
    requested_[word].fetch_and(~bit, std::memory_order_acq_rel);
    in_service_[word].fetch_or(bit, std::memory_order_acq_rel);
    return static_cast<uint8_t>(vector);
  }
  if (!has_interrupt() || bus_.controller() == nullptr) return std::nullopt;
  return bus_.controller()->acknowledge_extint();
}

void LocalApic::request(uint8_t vector, bool level) {
  const size_t word = vector / 32;
  const uint32_t bit = 1u << vector % 32;
  if (level) {
    level_[word].fetch_or(bit, std::memory_order_acq_rel);
  } else {
    level_[word].fetch_and(~bit, std::memory_order_acq_rel);
  }
  requested_[word].fetch_or(bit, std::memory_order_acq_rel);
  signal_.raise(kSignalInterrupt);
}

void LocalApic::report_error(uint32_t bit) {
  error_pending_.fetch_or(bit, std::memory_order_acq_rel);
  const uint32_t entry = lvt_[kLvtError];
  if ((entry & kMasked) == 0 && (entry & 0xff) >= 16) request(static_cast<uint8_t>(entry), false);
}

void LocalApic::accept(const InterruptMessage& message) {
  switch (message.mode) {
    case DeliveryMode::kFixed:
    case DeliveryMode::kLowestPriority:
      if (message.vector < 16) {
        report_error(kErrorReceiveIllegal);
      } else if (enabled()) {
        request(message.vector, message.level_triggered);
      }
      return;
    case DeliveryMode::kNmi: signal_.raise(kSignalNmi); return;
    case DeliveryMode::kInit: signal_.raise(kSignalInit); return;
    case DeliveryMode::kStartup:
      startup_vector_.store(message.vector, std::memory_order_release);
      signal_.raise(kSignalStartup);
      return;
    case DeliveryMode::kExtInt: set_extint(true); return;
    case DeliveryMode::kSmi: return;  // no system-management mode
  }
}

void LocalApic::set_extint(bool asserted) {
  extint_.store(asserted, std::memory_order_release);
  if (asserted) signal_.raise(kSignalInterrupt);
}

bool LocalApic::matches(const InterruptMessage& message) const {
  const uint32_t id = id_;
  const bool wide = x2apic();
  if (!message.logical) return message.destination == id || message.destination == (wide ? 0xffffffffu : 0xffu) ||
                               message.destination == 0xffu;
  const uint32_t destination = message.destination;
  if (wide) {
    const uint32_t logical = logical_x2apic_id(id);
    return destination == 0xffffffffu ||
           (destination >> 16 == logical >> 16 && (destination & logical & 0xffff) != 0);
  }
  const uint32_t logical = logical_destination_.load(std::memory_order_relaxed) >> 24;
  const bool flat = destination_format_.load(std::memory_order_relaxed) >> 28 == 0xf;
  if (destination == 0xff) return true;
  if (flat) return (destination & logical & 0xff) != 0;
  return destination >> 4 == logical >> 4 && (destination & logical & 0xf) != 0;
}

void LocalApic::end_of_interrupt() {
  const int vector = highest(in_service_);
  if (vector < 0) return;
  const auto word = static_cast<size_t>(vector / 32);
  const uint32_t bit = 1u << vector % 32;
  in_service_[word].fetch_and(~bit, std::memory_order_acq_rel);
  const bool level = (level_[word].load(std::memory_order_acquire) & bit) != 0;
  if (level && bus_.controller() != nullptr) bus_.controller()->end_of_interrupt(static_cast<uint8_t>(vector));
}

uint32_t LocalApic::read_register(uint32_t index) {
  const uint32_t bank = index & 7;
  if (index >= kIsr && index < kIsr + 8) return in_service_[bank];
  if (index >= kTmr && index < kTmr + 8) return level_[bank];
  if (index >= kIrr && index < kIrr + 8) return requested_[bank];
  if (index >= kLvtFirst && index <= kLvtLast) return lvt_[index - kLvtFirst];
  switch (index) {
    case kId: return x2apic() ? id_.load() : id_ << 24;
    case kVersion: return kVersionValue;
    case kTpr: return task_priority_;
    case kPpr: return priority();
    case kLdr: return x2apic() ? logical_x2apic_id(id_) : logical_destination_.load();
    case kDfr: return destination_format_;
    case kSpurious: return spurious_;
    case kEsr: return error_status_;
    case kIcrLow: return static_cast<uint32_t>(command_);
    case kIcrHigh: return static_cast<uint32_t>(command_ >> 32);
    case kInitialCount: return initial_count_;
    case kCurrentCount: return current_count(base::monotonic_ns());
    case kDivide: return divide_;
    default: return 0;
  }
}

// False: #GP in x2APIC mode; the xAPIC ignores what it does not know.
bool LocalApic::write_register(uint32_t index, uint32_t value, bool x2) {
  if (index >= kLvtFirst && index <= kLvtLast) {
    const size_t entry = index - kLvtFirst;
    if (x2 && (value & ~(kLvtWritable[entry] | 0x1000)) != 0) return false;
    const TimerMode before = timer_mode(lvt_[kLvtTimer]);
    lvt_[entry] = (value & kLvtWritable[entry]) | (enabled() ? 0 : kMasked);
    if (entry == kLvtTimer && timer_mode(value) != before) {
      deadline_ = tsc_deadline_ = 0;
      initial_count_ = 0;
    }
    return true;
  }
  switch (index) {
    case kTpr:
      if (x2 && value > 0xff) return false;
      task_priority_ = static_cast<uint8_t>(value);
      return true;
    case kEoi:
      if (x2 && value != 0) return false;
      end_of_interrupt();
      return true;
    case kLdr:
      if (x2) return false;
      logical_destination_ = value & 0xff000000;
      return true;
    case kDfr:
      if (x2) return false;
      destination_format_ = value | 0x0fffffff;
      return true;
    case kSpurious:
      if (x2 && (value & ~0x1ffu) != 0) return false;
      spurious_ = value & 0x1ff;
      if (!enabled()) {
        for (auto& entry : lvt_) entry.fetch_or(kMasked);
      }
      return true;
    case kEsr:
      if (x2 && value != 0) return false;
      error_status_ = error_pending_.exchange(0);
      return true;
    case kIcrLow: write_icr((command_ & ~uint64_t{0xffffffff}) | value, false); return true;
    case kIcrHigh: command_ = (command_ & 0xffffffff) | uint64_t{value} << 32; return true;
    case kInitialCount:
      initial_count_ = value;
      start_timer(base::monotonic_ns());
      return true;
    case kDivide:
      if (x2 && (value & ~0xbu) != 0) return false;
      divide_ = value & 0xb;
      return true;
    default:
      if (!x2 && index > 0x3f) report_error(kErrorIllegalRegister);
      return false;
  }
}

void LocalApic::write_icr(uint64_t icr, bool x2) {
  command_ = icr & ~uint64_t{0x1000};  // delivery is immediate: never pending
  InterruptMessage message;
  message.destination = static_cast<uint32_t>(x2 ? icr >> 32 : icr >> 56);
  message.logical = (icr & 0x800) != 0;
  message.mode = static_cast<DeliveryMode>(icr >> 8 & 7);
  message.vector = static_cast<uint8_t>(icr);
  const bool deassert = (icr & 0x4000) == 0;
  if (message.mode == DeliveryMode::kInit && deassert) return;  // a relic of the 82489DX
  const bool vectored = message.mode == DeliveryMode::kFixed || message.mode == DeliveryMode::kLowestPriority;
  if (vectored && message.vector < 16) {
    report_error(kErrorSendIllegal);
    return;
  }
  bus_.send(*this, static_cast<ApicBus::Shorthand>(icr >> 18 & 3), message);
}

uint64_t LocalApic::read(uint32_t offset, uint32_t size) {
  const uint64_t value = read_register(offset >> 4);
  const uint32_t shift = (offset & 15) * 8;
  if (shift >= 32) return 0;
  return size >= 4 ? value >> shift : value >> shift & ((uint64_t{1} << size * 8) - 1);
}

void LocalApic::write(uint32_t offset, uint32_t size, uint64_t value) {
  if ((offset & 15) != 0 || size < 4) return;  // only aligned 32-bit accesses are defined
  const uint32_t index = offset >> 4;
  if (index == kId) {
    return;  // identity is the machine's
  }
  write_register(index, static_cast<uint32_t>(value), false);
}

std::optional<uint64_t> LocalApic::read_msr(uint32_t index) {
  if (index == kApicBaseMsr) return base_;
  if (index == kTscDeadlineMsr) return timer_mode(lvt_[kLvtTimer]) == TimerMode::kTscDeadline ? tsc_deadline_ : 0;
  if (!x2apic()) return std::nullopt;
  const uint32_t reg = index - kX2apicFirst;
  if (reg == kIcrLow) return command_;
  const bool known = (reg >= kId && reg <= kVersion) || reg == kTpr || reg == kPpr || reg == kLdr || reg == kSpurious ||
                     (reg >= kIsr && reg <= kEsr) || (reg >= kLvtFirst && reg <= kCurrentCount) || reg == kDivide;
  if (!known) return std::nullopt;
  return read_register(reg);
}

bool LocalApic::write_msr(uint32_t index, uint64_t value) {
  if (index == kApicBaseMsr) {
    const uint64_t mode = value & (kBaseX2apic | kBaseEnable);
    const bool was_x2 = x2apic();
    if (mode == kBaseX2apic || (was_x2 && mode == kBaseEnable)) return false;  // not a legal transition
    if (value >> 48 != 0) return false;
    set_base(value);
    return true;
  }
  if (index == kTscDeadlineMsr) {
    if (timer_mode(lvt_[kLvtTimer]) == TimerMode::kTscDeadline) set_deadline(value, base::monotonic_ns());
    return true;
  }
  if (!x2apic()) return false;
  const uint32_t reg = index - kX2apicFirst;
  if (reg == kIcrLow) {
    write_icr(value, true);
    return true;
  }
  if (value >> 32 != 0 || reg == kIcrHigh || reg == kDfr || reg == kLdr) return false;
  if (reg == kSelfIpi) {
    write_icr(0x40000 | (value & 0xff), true);
    return true;
  }
  return write_register(reg, static_cast<uint32_t>(value), true);
}

void LocalApic::set_base(uint64_t value) {
  const bool bsp = (base_ & kBaseBsp) != 0;
  base_ = (value & ~kBaseBsp & ~uint64_t{0x2ff}) | (bsp ? kBaseBsp : 0);
  if ((base_ & kBaseEnable) == 0) {
    const uint64_t kept = base_;
    reset(true);
    base_ = kept;
  }
}

uint32_t LocalApic::divider() const {
  const uint32_t code = (divide_ & 3) | (divide_ >> 1 & 4);
  return code == 7 ? 1 : 2u << code;
}

void LocalApic::start_timer(uint64_t now_ns) {
  if (timer_mode(lvt_[kLvtTimer]) == TimerMode::kTscDeadline) return;
  timer_start_ = now_ns;
  deadline_ = initial_count_ == 0 ? 0 : now_ns + uint64_t{initial_count_} * divider();
}

void LocalApic::set_deadline(uint64_t guest_tsc, uint64_t now_ns) {
  tsc_deadline_ = guest_tsc;
  if (guest_tsc == 0) {
    deadline_ = 0;
    return;
  }
  const uint64_t guest_now = now_ns + bus_.tsc_offset();
  deadline_ = guest_tsc <= guest_now ? now_ns : now_ns + (guest_tsc - guest_now);
  if (deadline_ == 0) deadline_ = 1;
}

uint32_t LocalApic::current_count(uint64_t now_ns) const {
  if (deadline_ == 0 || timer_mode(lvt_[kLvtTimer]) == TimerMode::kTscDeadline) return 0;
  if (now_ns >= deadline_) return 0;
  return static_cast<uint32_t>((deadline_ - now_ns) / divider());
}

uint64_t LocalApic::update_timer(uint64_t now_ns) {
  if (deadline_ == 0 || now_ns < deadline_) return deadline_;
  const uint32_t entry = lvt_[kLvtTimer];
  if (timer_mode(entry) == TimerMode::kPeriodic && initial_count_ != 0) {
    // On the grid of the period, so that ticks do not drift; those that were missed are one.
    const uint64_t period = uint64_t{initial_count_} * divider();
    deadline_ += ((now_ns - deadline_) / period + 1) * period;
  } else {
    deadline_ = tsc_deadline_ = 0;
  }
  if ((entry & kMasked) == 0 && enabled()) request(static_cast<uint8_t>(entry), false);
  return deadline_;
}

void LocalApic::save(std::span<uint8_t, 1024> page) const {
  auto& self = const_cast<LocalApic&>(*this);  // reading a register changes nothing; the getter serves both
  std::memset(page.data(), 0, page.size());
  for (uint32_t index = kId; index <= kSelfIpi; ++index) {
    const uint32_t value = self.read_register(index);
    std::memcpy(page.data() + index * 16, &value, 4);
  }
}

void LocalApic::load(std::span<const uint8_t, 1024> page) {
  const auto word = [&](uint32_t index) {
    uint32_t value;
    std::memcpy(&value, page.data() + index * 16, 4);
    return value;
  };
  task_priority_ = static_cast<uint8_t>(word(kTpr));
  logical_destination_ = word(kLdr);
  destination_format_ = word(kDfr);
  spurious_ = word(kSpurious);
  for (uint32_t i = 0; i < 8; ++i) {
    in_service_[i] = word(kIsr + i);
    level_[i] = word(kTmr + i);
    requested_[i] = word(kIrr + i);
  }
  error_status_ = word(kEsr);
  command_ = uint64_t{word(kIcrHigh)} << 32 | word(kIcrLow);
  for (uint32_t i = 0; i < kLvtCount; ++i) lvt_[i] = word(kLvtFirst + i);
  divide_ = word(kDivide);
  initial_count_ = word(kInitialCount);
  const uint32_t remaining = word(kCurrentCount);
  const uint64_t now = base::monotonic_ns();
  deadline_ = remaining == 0 ? 0 : now + uint64_t{remaining} * divider();
}

}  // namespace husk::soft::apic
