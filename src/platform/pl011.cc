#include "platform/pl011.h"

#include <algorithm>
#include <array>
#include <utility>

#include "platform/pl011_registers.h"

namespace husk::platform {

using namespace pl011;  // NOLINT(google-build-using-namespace): its registers

namespace {

// UARTIFLS's fields: an eighth, a quarter, a half, three quarters, seven eighths; the rest is
// reserved.
size_t level_of(uint8_t select) {
  constexpr std::array<size_t, 8> kLevels{2, 4, 8, 12, 14, 14, 14, 14};
  return kLevels[select & 7];
}

// Each modem input's bit in UARTFR and its interrupt's.
constexpr std::pair<uint16_t, uint16_t> kModemInterrupts[] = {
    {kFrRing, kIntRing}, {kFrCts, kIntCts}, {kFrCarrier, kIntCarrier}, {kFrDsr, kIntDsr}};

}  // namespace

bool Pl011::fifo_enabled() const { return (lcr_h_ & kLcrFifo) != 0; }
bool Pl011::loopback() const { return (cr_ & kCrLoopback) != 0; }
bool Pl011::switched_on(uint16_t side) const { return (cr_ & kCrEnable) != 0 && (cr_ & side) != 0; }

size_t Pl011::capacity() const { return fifo_enabled() ? kFifoSize : 1; }
size_t Pl011::receive_level() const { return fifo_enabled() ? level_of(ifls_ >> 3) : 1; }
size_t Pl011::transmit_level() const { return fifo_enabled() ? level_of(ifls_) : 0; }

void Pl011::update_irq() { irq_.set((ris_ & imsc_) != 0); }

// The far end is always there; in loopback the modem outputs appear as the inputs (2.4.4).
uint16_t Pl011::modem_inputs() const {
  if (!loopback()) return kFrCts | kFrDsr | kFrCarrier;
  uint16_t inputs = 0;
  if ((cr_ & kCrRts) != 0) inputs |= kFrCts;
  if ((cr_ & kCrDtr) != 0) inputs |= kFrDsr;
  if ((cr_ & kCrOut1) != 0) inputs |= kFrCarrier;
  if ((cr_ & kCrOut2) != 0) inputs |= kFrRing;
  return inputs;
}

uint16_t Pl011::flags() const {
  uint16_t value = modem_inputs();
  value |= held_.empty() ? kFrTransmitEmpty : kFrBusy;
  if (held_.size() >= capacity()) value |= kFrTransmitFull;
  if (received_.empty()) value |= kFrReceiveEmpty;
  if (received_.size() >= capacity()) value |= kFrReceiveFull;
  return value;
}

// The receive interrupt comes when the level is reached, not while it is exceeded (2.8.1): who
// clears it takes the rest himself. The timeout follows whatever is left lying.
void Pl011::receive(uint8_t value) {
  if (received_.size() >= capacity()) {
    overrun_ = overrun_status_ = true;
    ris_ |= kIntOverrun;
    return;
  }
  received_.push_back(value);
  if (received_.size() == receive_level()) ris_ |= kIntReceive;
  if (fifo_enabled()) ris_ |= kIntTimeout;
}

uint16_t Pl011::take_received() {
  if (received_.empty()) return 0;
  uint16_t value = received_.front();
  if (std::exchange(overrun_, false)) value |= kDrOverrun;
  received_.pop_front();
  if (received_.size() < receive_level()) ris_ &= ~kIntReceive;
  if (received_.empty()) {
    ris_ &= ~kIntTimeout;
  } else {
    ris_ |= kIntTimeout;
  }
  return value;
}

// A byte that leaves empties the transmitter, which raises its interrupt.
void Pl011::send(uint8_t value) {
  ris_ |= kIntTransmit;
  if (loopback()) return receive(value);
  const auto byte = static_cast<std::byte>(value);
  output_.write({&byte, 1});
}

void Pl011::send_held() {
  for (const uint8_t value : std::exchange(held_, {})) send(value);
}

void Pl011::transmit(uint8_t value) {
  if (switched_on(kCrTransmit)) return send(value);
  if (held_.size() >= capacity()) return;
  held_.push_back(value);
  if (held_.size() > transmit_level()) ris_ &= ~kIntTransmit;
}

// Changing the mode empties the FIFOs.
void Pl011::control_line(uint8_t value) {
  if (((value ^ lcr_h_) & kLcrFifo) != 0) {
    received_.clear();
    held_.clear();
    ris_ &= ~(kIntReceive | kIntTimeout);
  }
  lcr_h_ = value;
}

void Pl011::control(uint16_t value) {
  const uint16_t before = modem_inputs();
  cr_ = value & kCrKept;
  const uint16_t changed = before ^ modem_inputs();
  for (const auto& [flag, interrupt] : kModemInterrupts)
    if ((changed & flag) != 0) ris_ |= interrupt;
  if (switched_on(kCrTransmit)) send_held();
}

uint64_t Pl011::read_register(uint64_t offset) {
  switch (offset) {
    case kDr:
      return take_received();
    case kRsrEcr:
      return overrun_status_ ? kRsrOverrun : 0;
    case kFr:
      return flags();
    case kIlpr:
      return ilpr_;
    case kIbrd:
      return ibrd_;
    case kFbrd:
      return fbrd_;
    case kLcrH:
      return lcr_h_;
    case kCr:
      return cr_;
    case kIfls:
      return ifls_;
    case kImsc:
      return imsc_;
    case kRis:
      return ris_;
    case kMis:
      return ris_ & imsc_;
    case kDmacr:
      return dmacr_;
    default:
      if (offset >= kIds && offset < kSize) return kIdentification[(offset - kIds) / 4];
      return ~uint64_t{0};
  }
}

void Pl011::write_register(uint64_t offset, uint16_t value) {
  const auto low = static_cast<uint8_t>(value);
  switch (offset) {
    case kDr:
      return transmit(low);
    case kRsrEcr:
      overrun_status_ = false;
      return;
    case kIlpr:
      ilpr_ = low;
      return;
    case kIbrd:
      ibrd_ = value;
      return;
    case kFbrd:
      fbrd_ = low & kFbrdKept;
      return;
    case kLcrH:
      return control_line(low);
    case kCr:
      return control(value);
    case kIfls:
      ifls_ = low & kIflsKept;
      return;
    case kImsc:
      imsc_ = value & kIntAll;
      return;
    case kIcr:
      ris_ &= ~value;
      return;
    case kDmacr:
      dmacr_ = low & kDmacrKept;
      return;
    default:
      return;
  }
}

size_t Pl011::room() const {
  if (loopback() || !switched_on(kCrReceive) || received_.size() >= capacity()) return 0;
  return capacity() - received_.size();
}

bool Pl011::take_refused() { return room() != 0 && std::exchange(refused_, false); }

void Pl011::tell_room(bool room) {
  if (room && on_room_ != nullptr) on_room_();
}

uint64_t Pl011::read(uint64_t offset, uint32_t size) {
  uint64_t value = 0;
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    value = read_register(offset & ~uint64_t{3}) >> (offset & 3) * 8;
    room = take_refused();
    update_irq();
  }
  tell_room(room);
  return size < sizeof(value) ? value & ((uint64_t{1} << size * 8) - 1) : value;
}

void Pl011::write(uint64_t offset, uint32_t, uint64_t value) {
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    write_register(offset, static_cast<uint16_t>(value));
    room = take_refused();
    update_irq();
  }
  tell_room(room);
}

size_t Pl011::push(std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  const auto taken = data.first(std::min(data.size(), room()));
  for (const std::byte byte : taken) receive(static_cast<uint8_t>(byte));
  if (taken.size() < data.size()) refused_ = true;
  update_irq();
  return taken.size();
}

void Pl011::transfer_state(contract::StateArchive& state) {
  const std::lock_guard lock(mutex_);
  state.version(1);
  for (uint16_t* reg : {&cr_, &ibrd_, &imsc_, &ris_}) state.value(*reg);
  for (uint8_t* reg : {&ilpr_, &fbrd_, &lcr_h_, &ifls_, &dmacr_}) state.value(*reg);
  state.value(overrun_);
  state.value(overrun_status_);
  state.bytes(received_, kFifoSize);
  state.bytes(held_, kFifoSize);
}

}  // namespace husk::platform
