// A 16550A serial port (National Semiconductor PC16550D data sheet). Its line has no bit rate:
// output goes out at once, so the transmitter is always empty, and the character times after which
// the receiver's timeout comes are over at once. There is no break and no bad parity.
#pragma once

#include <deque>
#include <functional>
#include <mutex>

#include "contract/byte_channel.h"
#include "contract/irq_line.h"
#include "contract/state_archive.h"
#include "platform/byte_device.h"

namespace husk::platform {

class Uart16550 : public ByteDevice, public contract::ByteInput {
 public:
  static constexpr uint16_t kPorts = 8;

  Uart16550(contract::IrqLine irq, contract::ByteSink& output) : irq_(irq), output_(output) {}

  [[nodiscard]] std::string_view name() const override { return "uart16550"; }

  // Takes what the receiver has room for: sixteen bytes with its FIFO, one without, none in
  // loopback. Any thread.
  size_t push(std::span<const std::byte> data) override;
  // Called without the lock, on a vCPU's thread, when there is room after push() refused something.
  // Set before the first push().
  void set_on_room(std::function<void()> hook) { on_room_ = std::move(hook); }
  // What was refused is asked for again. The interrupt line is the controller's state.
  void transfer_state(contract::StateArchive& state);

 private:
  uint8_t read_byte(uint64_t offset) override;
  void write_byte(uint64_t offset, uint8_t value) override;
  uint8_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint8_t value);
  uint8_t take_received();
  uint8_t take_line_status();
  uint8_t take_modem_status();
  uint8_t identify_interrupt();
  void transmit(uint8_t value);
  void enable_interrupts(uint8_t value);
  void control_fifo(uint8_t value);
  void control_modem(uint8_t value);
  [[nodiscard]] uint8_t pending_interrupt() const;
  [[nodiscard]] uint8_t modem_inputs() const;
  [[nodiscard]] size_t room() const;
  void update_irq();
  // What follows an access once its lock is gone.
  void tell_room(bool room);
  [[nodiscard]] bool take_refused();
  [[nodiscard]] bool latch_access() const { return (lcr_ & 0x80) != 0; }
  [[nodiscard]] bool loopback() const { return (mcr_ & 0x10) != 0; }
  [[nodiscard]] bool fifo_enabled() const { return (fcr_ & 1) != 0; }

  std::mutex mutex_;
  contract::IrqLine irq_;
  contract::ByteSink& output_;
  std::function<void()> on_room_;
  std::deque<uint8_t> received_;
  bool refused_ = false;  // push() could not take everything
  bool overrun_ = false;
  bool transmitter_empty_event_ = false;
  uint8_t ier_ = 0, lcr_ = 0, mcr_ = 0x08, scratch_ = 0, fcr_ = 0;
  uint8_t modem_changes_ = 0;  // the modem status register's low half
  uint16_t divisor_ = 1;
};

}  // namespace husk::platform
