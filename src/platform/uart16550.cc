#include "platform/uart16550.h"

#include <algorithm>
#include <utility>

namespace husk::platform {
namespace {

enum Register : uint64_t {
  kData = 0,
  kIer = 1,
  kIirFcr = 2,
  kLcr = 3,
  kMcr = 4,
  kLsr = 5,
  kMsr = 6,
  kScratch = 7
};
constexpr uint8_t kIerReceived = 1, kIerTransmitted = 2, kIerLine = 4, kIerModem = 8;
constexpr uint8_t kIirModem = 0, kIirNone = 1, kIirTransmitted = 2, kIirReceived = 4, kIirLine = 6,
                  kIirTimeout = 0x0c, kIirFifo = 0xc0;
constexpr uint8_t kFcrEnable = 1, kFcrClearReceiver = 2, kFcrKept = 0xc9;
constexpr uint8_t kLsrData = 1, kLsrOverrun = 2, kLsrTransmitterEmpty = 0x60;
constexpr uint8_t kMcrDtr = 1, kMcrRts = 2, kMcrOut1 = 4, kMcrOut2 = 8, kMcrKept = 0x1f;
constexpr uint8_t kMsrCts = 0x10, kMsrDsr = 0x20, kMsrRing = 0x40, kMsrCarrier = 0x80,
                  kMsrRingEnded = 0x04;
constexpr size_t kFifoSize = 16;

// The FIFO control register's top bits.
size_t trigger_level(uint8_t fcr) {
  constexpr size_t kLevels[] = {1, 4, 8, 14};
  return kLevels[fcr >> 6];
}

}  // namespace

// By priority (data sheet, table IV).
uint8_t Uart16550::pending_interrupt() const {
  if ((ier_ & kIerLine) != 0 && overrun_) return kIirLine;
  if ((ier_ & kIerReceived) != 0 && !received_.empty())
    return !fifo_enabled() || received_.size() >= trigger_level(fcr_) ? kIirReceived : kIirTimeout;
  if ((ier_ & kIerTransmitted) != 0 && transmitter_empty_event_) return kIirTransmitted;
  if ((ier_ & kIerModem) != 0 && modem_changes_ != 0) return kIirModem;
  return kIirNone;
}

// OUT2 gates the interrupt on a PC; loopback holds the pin inactive.
void Uart16550::update_irq() {
  irq_.set(pending_interrupt() != kIirNone && (mcr_ & kMcrOut2) != 0 && !loopback());
}

uint8_t Uart16550::identify_interrupt() {
  const uint8_t pending = pending_interrupt();
  if (pending == kIirTransmitted) transmitter_empty_event_ = false;
  return pending | (fifo_enabled() ? kIirFifo : 0);
}

// In loopback the modem outputs appear as the inputs.
uint8_t Uart16550::modem_inputs() const {
  if (!loopback()) return kMsrCarrier | kMsrDsr | kMsrCts;
  uint8_t inputs = 0;
  if ((mcr_ & kMcrDtr) != 0) inputs |= kMsrDsr;
  if ((mcr_ & kMcrRts) != 0) inputs |= kMsrCts;
  if ((mcr_ & kMcrOut1) != 0) inputs |= kMsrRing;
  if ((mcr_ & kMcrOut2) != 0) inputs |= kMsrCarrier;
  return inputs;
}

// Each input's change is noted four bits below it; of the ring indicator, only its end.
void Uart16550::control_modem(uint8_t value) {
  const uint8_t before = modem_inputs();
  mcr_ = value & kMcrKept;
  const uint8_t now = modem_inputs();
  modem_changes_ |= ((before ^ now) & ~kMsrRing) >> 4;
  if ((before & ~now & kMsrRing) != 0) modem_changes_ |= kMsrRingEnded;
}

uint8_t Uart16550::take_modem_status() {
  const uint8_t status = modem_inputs() | modem_changes_;
  modem_changes_ = 0;
  return status;
}

uint8_t Uart16550::take_line_status() {
  const uint8_t status =
      kLsrTransmitterEmpty | (received_.empty() ? 0 : kLsrData) | (overrun_ ? kLsrOverrun : 0);
  overrun_ = false;
  return status;
}

uint8_t Uart16550::take_received() {
  if (received_.empty()) return 0;
  const uint8_t value = received_.front();
  received_.pop_front();
  return value;
}

uint8_t Uart16550::read_register(uint64_t offset) {
  switch (offset) {
    case kData:
      return latch_access() ? static_cast<uint8_t>(divisor_) : take_received();
    case kIer:
      return latch_access() ? static_cast<uint8_t>(divisor_ >> 8) : ier_;
    case kIirFcr:
      return identify_interrupt();
    case kLcr:
      return lcr_;
    case kMcr:
      return mcr_;
    case kLsr:
      return take_line_status();
    case kMsr:
      return take_modem_status();
    default:
      return scratch_;
  }
}

// A full FIFO keeps what it has; a lone receiver register is written over.
void Uart16550::transmit(uint8_t value) {
  transmitter_empty_event_ = true;
  if (!loopback()) {
    const auto byte = static_cast<std::byte>(value);
    return output_.write({&byte, 1});
  }
  if (received_.size() < (fifo_enabled() ? kFifoSize : 1)) return received_.push_back(value);
  overrun_ = true;
  if (!fifo_enabled()) received_.back() = value;
}

// Enabling the transmitter's interrupt while it is empty, which it always is, raises it.
void Uart16550::enable_interrupts(uint8_t value) {
  if ((value & kIerTransmitted) != 0 && (ier_ & kIerTransmitted) == 0)
    transmitter_empty_event_ = true;
  ier_ = value & 0x0f;
}

// Changing the mode empties the FIFOs; without the enable bit the others are not programmed.
void Uart16550::control_fifo(uint8_t value) {
  const bool enable = (value & kFcrEnable) != 0;
  if (enable != fifo_enabled() || (enable && (value & kFcrClearReceiver) != 0)) received_.clear();
  fcr_ = enable ? value & kFcrKept : 0;
}

void Uart16550::write_register(uint64_t offset, uint8_t value) {
  switch (offset) {
    case kData:
      if (!latch_access()) return transmit(value);
      divisor_ = static_cast<uint16_t>((divisor_ & 0xff00) | value);
      return;
    case kIer:
      if (!latch_access()) return enable_interrupts(value);
      divisor_ = static_cast<uint16_t>((divisor_ & 0xff) | value << 8);
      return;
    case kIirFcr:
      return control_fifo(value);
    case kLcr:
      lcr_ = value;
      return;
    case kMcr:
      return control_modem(value);
    case kScratch:
      scratch_ = value;
      return;
    default:
      return;
  }
}

size_t Uart16550::room() const {
  const size_t size = fifo_enabled() ? kFifoSize : 1;
  return loopback() || received_.size() >= size ? 0 : size - received_.size();
}

bool Uart16550::take_refused() { return room() != 0 && std::exchange(refused_, false); }

void Uart16550::tell_room(bool room) {
  if (room && on_room_ != nullptr) on_room_();
}

uint8_t Uart16550::read_byte(uint64_t offset) {
  uint8_t value = 0;
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    value = read_register(offset);
    room = take_refused();
    update_irq();
  }
  tell_room(room);
  return value;
}

void Uart16550::write_byte(uint64_t offset, uint8_t value) {
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    write_register(offset, value);
    room = take_refused();
    update_irq();
  }
  tell_room(room);
}

size_t Uart16550::push(std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  const auto taken = data.first(std::min(data.size(), room()));
  for (const std::byte byte : taken) received_.push_back(static_cast<uint8_t>(byte));
  if (taken.size() < data.size()) refused_ = true;
  update_irq();
  return taken.size();
}

void Uart16550::transfer_state(contract::StateArchive& state) {
  const std::lock_guard lock(mutex_);
  state.version(1);
  for (uint8_t* reg : {&ier_, &lcr_, &mcr_, &scratch_, &fcr_, &modem_changes_}) state.value(*reg);
  state.value(divisor_);
  state.value(overrun_);
  state.value(transmitter_empty_event_);
  state.bytes(received_, kFifoSize);
}

}  // namespace husk::platform
