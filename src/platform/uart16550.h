// A 16550A serial port (National Semiconductor PC16550D data sheet). Output never blocks the guest:
// the transmitter is always empty. Input waits in a FIFO of sixteen bytes.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <mutex>

#include "contract/byte_channel.h"
#include "contract/io_handler.h"
#include "contract/irq_line.h"

namespace husk::platform {

class Uart16550 : public contract::IoHandler, public contract::ByteInput {
 public:
  static constexpr uint16_t kPorts = 8;

  Uart16550(contract::IrqLine irq, contract::ByteSink& output) : irq_(irq), output_(output) {}

  [[nodiscard]] std::string_view name() const override { return "uart16550"; }
  uint64_t read(uint64_t offset, uint32_t size) override;
  void write(uint64_t offset, uint32_t size, uint64_t value) override;

  // Takes what the FIFO has room for; `on_room` (see set_on_room) tells when there is more. Any
  // thread.
  size_t push(std::span<const std::byte> data) override;
  void set_on_room(std::function<void()> hook) { on_room_ = std::move(hook); }

 private:
  uint8_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint8_t value);
  void transmit(uint8_t value);
  [[nodiscard]] uint8_t pending_interrupt() const;
  [[nodiscard]] uint8_t modem_status() const;
  void update_irq();
  [[nodiscard]] bool latch_access() const { return (lcr_ & 0x80) != 0; }
  [[nodiscard]] bool loopback() const { return (mcr_ & 0x10) != 0; }

  std::mutex mutex_;
  contract::IrqLine irq_;
  contract::ByteSink& output_;
  std::function<void()> on_room_;
  std::deque<uint8_t> fifo_;
  bool overrun_ = false;
  bool transmitter_empty_event_ = false;
  uint8_t ier_ = 0, lcr_ = 0, mcr_ = 0x08, scratch_ = 0, fcr_ = 0;
  uint16_t divisor_ = 1;
};

}  // namespace husk::platform
