// What the local APIC does with interrupts: acceptance, priority, delivery, EOI. Its registers as
// the guest sees them are in local_apic_registers.cc.
#include "backend/soft/apic/local_apic.h"

#include <bit>

#include "backend/soft/apic/apic_bus.h"

namespace husk::soft::apic {

using contract::DeliveryMode;
using contract::InterruptMessage;

namespace {

constexpr uint32_t lvt_mode(DeliveryMode mode) { return static_cast<uint32_t>(mode) << 8; }

constexpr uint32_t bit_of(uint32_t vector) { return 1u << vector % 32; }

}  // namespace

LocalApic::LocalApic(uint32_t id, ApicBus& bus, VcpuSignal& signal, Clock clock)
    : id_(id), bus_(bus), signal_(signal), clock_(clock), base_(id == 0 ? kBaseBsp : 0) {
  reset(false);
}

void LocalApic::reset(bool keep_id_and_mode) {
  if (!keep_id_and_mode) base_ = kDefaultBase | kBaseEnable | (base_ & kBaseBsp);
  for (auto& reg : regs_) reg.store(0, std::memory_order_relaxed);
  set(kDfr, ~0u);
  set(kSpurious, 0xff);
  for (uint32_t reg = kLvtTimer; reg <= kLvtError; ++reg) set(reg, kLvtMasked);
  errors_ = 0;
  timer_.reset();
  // As firmware leaves it: virtual wire mode (Intel MultiProcessor Specification, 3.6.2.1).
  if (id_ == 0 && !keep_id_and_mode) {
    set(kSpurious, 0xff | kSpuriousEnable);
    set(kLvtLint0, lvt_mode(DeliveryMode::kExtInt));
    set(kLvtLint1, lvt_mode(DeliveryMode::kNmi));
  }
}

int LocalApic::highest(uint32_t bank) const {
  for (int word = kBankWords - 1; word >= 0; --word) {
    const uint32_t bits = regs_[bank + static_cast<uint32_t>(word)].load(std::memory_order_acquire);
    if (bits != 0) return word * 32 + 31 - std::countl_zero(bits);
  }
  return -1;
}

// 11.8.3.1: the task's priority, or the class of what is being served where that is higher.
uint8_t LocalApic::priority() const {
  const auto task = static_cast<uint8_t>(get(kTpr));
  const int serving = highest(kIsr);
  if (serving < 0 || (task & 0xf0) >= (serving & 0xf0)) return task;
  return static_cast<uint8_t>(serving & 0xf0);
}

int LocalApic::deliverable_vector() const {
  if (!enabled()) return -1;
  const int vector = highest(kIrr);
  return vector >= 0 && (vector & 0xf0) > (priority() & 0xf0) ? vector : -1;
}

// A disabled APIC leaves LINT0 to be the processor's INTR pin (11.4.3).
bool LocalApic::extint_ready() const {
  if (!extint_.load(std::memory_order_acquire)) return false;
  return !hardware_enabled() || (get(kLvtLint0) & (kLvtMasked | lvt_mode(DeliveryMode{7}))) ==
                                    lvt_mode(DeliveryMode::kExtInt);
}

std::optional<uint8_t> LocalApic::take_interrupt() {
  if (const int vector = deliverable_vector(); vector >= 0) {
    const auto number = static_cast<uint8_t>(vector);
    word_of(kIsr, number).fetch_or(bit_of(number), std::memory_order_acq_rel);
    word_of(kIrr, number).fetch_and(~bit_of(number), std::memory_order_acq_rel);
    return number;
  }
  if (!extint_ready() || bus_.controller() == nullptr) return std::nullopt;
  return bus_.controller()->acknowledge_extint();
}

void LocalApic::end_of_interrupt() {
  const int vector = highest(kIsr);
  if (vector < 0) return;
  const auto number = static_cast<uint8_t>(vector);
  word_of(kIsr, number).fetch_and(~bit_of(number), std::memory_order_acq_rel);
  const bool level = (word_of(kTmr, number).load(std::memory_order_acquire) & bit_of(number)) != 0;
  if (level && bus_.controller() != nullptr) bus_.controller()->end_of_interrupt(number);
}

// TMR first: the owner may take the vector as soon as it is in IRR.
void LocalApic::request(uint8_t vector, bool level) {
  if (level) {
    word_of(kTmr, vector).fetch_or(bit_of(vector), std::memory_order_acq_rel);
  } else {
    word_of(kTmr, vector).fetch_and(~bit_of(vector), std::memory_order_acq_rel);
  }
  word_of(kIrr, vector).fetch_or(bit_of(vector), std::memory_order_acq_rel);
  signal_.raise(kSignalInterrupt);
}

void LocalApic::report_error(uint32_t bit) {
  errors_.fetch_or(bit, std::memory_order_acq_rel);
  const uint32_t entry = get(kLvtError);
  const auto vector = static_cast<uint8_t>(entry);
  if ((entry & kLvtMasked) == 0 && vector >= kFirstVector) request(vector, false);
}

// One event of a source of the local vector table (11.5.1).
void LocalApic::deliver_local(uint32_t lvt_register) {
  const uint32_t entry = get(lvt_register);
  if ((entry & kLvtMasked) != 0 || !hardware_enabled()) return;
  accept(
      {.mode = static_cast<DeliveryMode>(entry >> 8 & 7), .vector = static_cast<uint8_t>(entry)});
}

void LocalApic::accept(const InterruptMessage& message) {
  if (!hardware_enabled()) return;
  switch (message.mode) {
    case DeliveryMode::kFixed:
    case DeliveryMode::kLowestPriority:
      if (message.vector < kFirstVector) {
        report_error(kErrorReceiveIllegal);
      } else if (software_enabled()) {
        request(message.vector, message.level_triggered);
      }
      return;
    case DeliveryMode::kNmi:
      signal_.raise(kSignalNmi);
      return;
    case DeliveryMode::kInit:
      signal_.clear(kSignalStartup);  // a SIPI counts only after the INIT
      signal_.raise(kSignalInit);
      return;
    case DeliveryMode::kStartup:
      startup_vector_.store(message.vector, std::memory_order_release);
      signal_.raise(kSignalStartup);
      return;
    case DeliveryMode::kExtInt:
      signal_.raise(kSignalInterrupt);
      return;  // taken while the pin is asserted
    default:
      return;  // SMI: there is no system-management mode; 3 is reserved
  }
}

void LocalApic::set_extint(bool asserted) {
  const bool was = extint_.exchange(asserted, std::memory_order_acq_rel);
  if (!asserted) return;
  // LINT0 programmed as an ordinary local interrupt takes the edge.
  if (hardware_enabled() && !extint_ready()) {
    if (!was) deliver_local(kLvtLint0);
    return;
  }
  signal_.raise(kSignalInterrupt);
}

// 11.6.2, 11.12.10. An xAPIC's broadcast is 0xff, and so are those of I/O APICs and MSIs to an
// x2APIC.
bool LocalApic::matches(const InterruptMessage& message) const {
  const uint32_t destination = message.destination;
  if (!hardware_enabled()) return false;
  if (destination == ~0u) return true;
  if (!message.logical) return destination == id_ || destination == 0xff;
  if (x2apic()) {
    const uint32_t logical = logical_x2apic_id(id_);
    return destination >> 16 == logical >> 16 && (destination & logical & 0xffff) != 0;
  }
  if (destination == 0xff) return true;
  const uint32_t logical = get(kLdr) >> 24;
  switch (get(kDfr) >> 28) {
    case 0xf:
      return (destination & logical) != 0;  // flat
    case 0x0:
      return destination >> 4 == logical >> 4 && (destination & logical & 0xf) != 0;  // cluster
    default:
      return false;
  }
}

// The owner looks for something to deliver next by itself, so the signal stays as it is when
// nothing fired.
uint64_t LocalApic::update_timer(uint64_t now_ns) {
  if (timer_.expire(now_ns)) deliver_local(kLvtTimer);
  return timer_.deadline();
}

void LocalApic::set_tsc(const Tsc& tsc) {
  if (tsc == tsc_) return;
  tsc_ = tsc;
  timer_.retarget(tsc_, clock_());
}

}  // namespace husk::soft::apic
