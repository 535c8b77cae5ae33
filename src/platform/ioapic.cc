#include "platform/ioapic.h"

namespace husk::platform {

using contract::DeliveryMode;
using contract::InterruptMessage;

namespace {

enum Window : uint64_t { kSelect = 0x00, kData = 0x10, kEoi = 0x40 };
constexpr uint32_t kIdRegister = 0, kVersionRegister = 1, kArbitrationRegister = 2,
                   kFirstEntry = 0x10;
constexpr uint32_t kVersion = 0x20 | (IoApic::kPins - 1) << 16;
constexpr uint64_t kReadOnly = 1u << 12 | 1u << 14;  // delivery status, remote IRR

}  // namespace

uint32_t IoApic::read_indirect() const {
  if (state_.select == kIdRegister || state_.select == kArbitrationRegister) return state_.id;
  if (state_.select == kVersionRegister) return kVersion;
  const uint32_t pin = (state_.select - kFirstEntry) / 2;
  if (state_.select < kFirstEntry || pin >= kPins) return 0;
  return static_cast<uint32_t>(state_.entries[pin] >> (state_.select & 1 ? 32 : 0));
}

void IoApic::write_indirect(uint32_t value, std::vector<InterruptMessage>& out) {
  if (state_.select == kIdRegister) state_.id = value & 0x0f000000;
  const uint32_t pin = (state_.select - kFirstEntry) / 2;
  if (state_.select < kFirstEntry || pin >= kPins) return;
  uint64_t& entry = state_.entries[pin];
  if ((state_.select & 1) != 0) {
    entry = (entry & 0xffffffff) | uint64_t{value} << 32;
  } else {
    entry = (entry & (~uint64_t{0xffffffff} | kReadOnly)) | (value & ~kReadOnly & 0x1ffff);
    if ((entry & kLevel) == 0) entry &= ~kRemoteIrr;
  }
  if ((entry & kLevel) != 0) service(pin, out);
}

// A level line asks again and again until it falls; an edge is sent by set_pin() alone.
void IoApic::service(size_t pin, std::vector<InterruptMessage>& out) {
  uint64_t& entry = state_.entries[pin];
  const bool level = (entry & kLevel) != 0;
  if ((entry & kMasked) != 0 || (state_.lines >> pin & 1) == 0) return;
  if (level && (entry & kRemoteIrr) != 0) return;
  if (level) entry |= kRemoteIrr;
  InterruptMessage message;
  message.destination = static_cast<uint32_t>(entry >> 56);
  message.logical = (entry & 0x800) != 0;
  message.mode = static_cast<DeliveryMode>(entry >> 8 & 7);
  message.vector = static_cast<uint8_t>(entry);
  message.level_triggered = level;
  out.push_back(message);
}

void IoApic::send(std::span<const InterruptMessage> messages) {
  for (const InterruptMessage& message : messages) sink_.deliver(message);
}

uint64_t IoApic::read(uint64_t offset, uint32_t) {
  const std::lock_guard lock(mutex_);
  if (offset == kSelect) return state_.select;
  return offset == kData ? read_indirect() : 0;
}

void IoApic::write(uint64_t offset, uint32_t, uint64_t value) {
  std::vector<InterruptMessage> out;
  {
    const std::lock_guard lock(mutex_);
    if (offset == kSelect) state_.select = value & 0xff;
    if (offset == kData) write_indirect(static_cast<uint32_t>(value), out);
    if (offset == kEoi) acknowledge(static_cast<uint8_t>(value), out);
  }
  send(out);
}

void IoApic::set_pin(uint32_t pin, bool level) {
  if (pin >= kPins) return;
  std::vector<InterruptMessage> out;
  {
    const std::lock_guard lock(mutex_);
    const bool was = (state_.lines >> pin & 1) != 0;
    state_.lines = level ? state_.lines | 1u << pin : state_.lines & ~(1u << pin);
    if (level && (!was || (state_.entries[pin] & kLevel) != 0)) service(pin, out);
  }
  send(out);
}

void IoApic::acknowledge(uint8_t vector, std::vector<InterruptMessage>& out) {
  for (size_t pin = 0; pin < kPins; ++pin) {
    uint64_t& entry = state_.entries[pin];
    if ((entry & kRemoteIrr) == 0 || static_cast<uint8_t>(entry) != vector) continue;
    entry &= ~kRemoteIrr;
    service(pin, out);
  }
}

void IoApic::end_of_interrupt(uint8_t vector) {
  std::vector<InterruptMessage> out;
  {
    const std::lock_guard lock(mutex_);
    acknowledge(vector, out);
  }
  send(out);
}

IoApic::State IoApic::capture() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void IoApic::restore(const State& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
}

}  // namespace husk::platform
