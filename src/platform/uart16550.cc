#include "platform/uart16550.h"

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
constexpr uint8_t kIerReceived = 1, kIerTransmitted = 2, kIerLine = 4;
constexpr uint8_t kIirNone = 1, kIirTransmitted = 2, kIirReceived = 4, kIirLine = 6,
                  kIirFifo = 0xc0;
constexpr uint8_t kLsrData = 1, kLsrOverrun = 2, kLsrTransmitterEmpty = 0x60;
constexpr uint8_t kMcrOut2 = 8;
constexpr size_t kFifoSize = 16;

}  // namespace

uint8_t Uart16550::pending_interrupt() const {
  if ((ier_ & kIerLine) != 0 && overrun_) return kIirLine;
  if ((ier_ & kIerReceived) != 0 && !fifo_.empty()) return kIirReceived;
  if ((ier_ & kIerTransmitted) != 0 && transmitter_empty_event_) return kIirTransmitted;
  return kIirNone;
}

// OUT2 gates the interrupt on a PC.
void Uart16550::update_irq() {
  irq_.set(pending_interrupt() != kIirNone && (mcr_ & kMcrOut2) != 0 && !loopback());
}

// In loopback the modem outputs appear as the inputs: DTR as DSR, RTS as CTS, OUT1 as RI, OUT2 as
// DCD.
uint8_t Uart16550::modem_status() const {
  if (!loopback()) return 0xb0;  // carrier, data set ready, clear to send
  uint8_t status = 0;
  if ((mcr_ & 1) != 0) status |= 0x20;
  if ((mcr_ & 2) != 0) status |= 0x10;
  if ((mcr_ & 4) != 0) status |= 0x40;
  if ((mcr_ & 8) != 0) status |= 0x80;
  return status;
}

uint8_t Uart16550::read_register(uint64_t offset) {
  switch (offset) {
    case kData: {
      if (latch_access()) return static_cast<uint8_t>(divisor_);
      if (fifo_.empty()) return 0;
      const uint8_t value = fifo_.front();
      fifo_.pop_front();
      return value;
    }
    case kIer:
      return latch_access() ? static_cast<uint8_t>(divisor_ >> 8) : ier_;
    case kIirFcr: {
      const uint8_t pending = pending_interrupt();
      if (pending == kIirTransmitted) transmitter_empty_event_ = false;
      return pending | ((fcr_ & 1) != 0 ? kIirFifo : 0);
    }
    case kLcr:
      return lcr_;
    case kMcr:
      return mcr_;
    case kLsr: {
      const uint8_t status =
          kLsrTransmitterEmpty | (fifo_.empty() ? 0 : kLsrData) | (overrun_ ? kLsrOverrun : 0);
      overrun_ = false;
      return status;
    }
    case kMsr:
      return modem_status();
    default:
      return scratch_;
  }
}

void Uart16550::transmit(uint8_t value) {
  if (!loopback()) {
    const auto byte = static_cast<std::byte>(value);
    output_.write({&byte, 1});
  } else if (fifo_.size() < kFifoSize) {
    fifo_.push_back(value);
  } else {
    overrun_ = true;
  }
  transmitter_empty_event_ = true;
}

void Uart16550::write_register(uint64_t offset, uint8_t value) {
  switch (offset) {
    case kData:
      if (latch_access()) {
        divisor_ = static_cast<uint16_t>((divisor_ & 0xff00) | value);
      } else {
        transmit(value);
      }
      return;
    case kIer:
      if (latch_access()) {
        divisor_ = static_cast<uint16_t>((divisor_ & 0xff) | value << 8);
        return;
      }
      // Enabling it while the transmitter is empty, which it always is, raises it.
      if ((value & kIerTransmitted) != 0 && (ier_ & kIerTransmitted) == 0)
        transmitter_empty_event_ = true;
      ier_ = value & 0x0f;
      return;
    case kIirFcr:
      fcr_ = value & 0xc9;
      if ((value & 2) != 0) fifo_.clear();
      return;
    case kLcr:
      lcr_ = value;
      return;
    case kMcr:
      mcr_ = value & 0x1f;
      return;
    case kScratch:
      scratch_ = value;
      return;
    default:
      return;
  }
}

uint64_t Uart16550::read(uint64_t offset, uint32_t size) {
  if (size != 1) return ~uint64_t{0};
  uint8_t value = 0;
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    const size_t before = fifo_.size();
    value = read_register(offset);
    room = fifo_.size() < before && on_room_ != nullptr;
    update_irq();
  }
  if (room) on_room_();
  return value;
}

void Uart16550::write(uint64_t offset, uint32_t size, uint64_t value) {
  const std::lock_guard lock(mutex_);
  // A wider OUT reaches consecutive registers.
  for (uint32_t i = 0; i < size && offset + i < kPorts; ++i)
    write_register(offset + i, static_cast<uint8_t>(value >> 8 * i));
  update_irq();
}

size_t Uart16550::push(std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  size_t taken = 0;
  while (taken < data.size() && fifo_.size() < kFifoSize)
    fifo_.push_back(static_cast<uint8_t>(data[taken++]));
  update_irq();
  return taken;
}

}  // namespace husk::platform
