// Arm's PrimeCell UART, PL011 revision r1p4 (Arm DDI 0183), as a guest's serial port. Its line has
// no bit rate: output goes out at once while the transmitter is on, and the 32 bit times after
// which the receiver's timeout comes are over at once. There is no break, no bad parity, no IrDA
// and no DMA. It starts as firmware leaves it, switched on, for Linux's earlycon expects that.
#pragma once

#include <deque>
#include <functional>
#include <mutex>

#include "contract/byte_channel.h"
#include "contract/io_handler.h"
#include "contract/irq_line.h"
#include "contract/state_archive.h"

namespace husk::platform {

class Pl011 : public contract::IoHandler, public contract::ByteInput {
 public:
  static constexpr uint64_t kSize = 0x1000;

  Pl011(contract::IrqLine irq, contract::ByteSink& output) : irq_(irq), output_(output) {}

  [[nodiscard]] std::string_view name() const override { return "pl011"; }
  // Every register is a word; a narrower access sees its part of it, a wider one it alone.
  uint64_t read(uint64_t offset, uint32_t size) override;
  void write(uint64_t offset, uint32_t size, uint64_t value) override;

  // Takes what the receiver has room for: sixteen bytes with its FIFO, one without, none in
  // loopback or while it is off. Any thread.
  size_t push(std::span<const std::byte> data) override;
  // Called without the lock, on a vCPU's thread, when there is room after push() refused something.
  // Set before the first push().
  void set_on_room(std::function<void()> hook) { on_room_ = std::move(hook); }
  // What was refused is asked for again. The interrupt line is the controller's state.
  void transfer_state(contract::StateArchive& state);

 private:
  uint64_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint16_t value);
  uint16_t take_received();
  void receive(uint8_t value);
  void transmit(uint8_t value);
  void send(uint8_t value);
  void send_held();
  void control_line(uint8_t value);
  void control(uint16_t value);
  [[nodiscard]] uint16_t flags() const;
  [[nodiscard]] uint16_t modem_inputs() const;
  [[nodiscard]] size_t capacity() const;
  [[nodiscard]] size_t receive_level() const;
  [[nodiscard]] size_t transmit_level() const;
  [[nodiscard]] size_t room() const;
  void update_irq();
  // What follows an access once its lock is gone.
  void tell_room(bool room);
  [[nodiscard]] bool take_refused();
  [[nodiscard]] bool fifo_enabled() const;
  [[nodiscard]] bool loopback() const;
  [[nodiscard]] bool switched_on(uint16_t side) const;

  std::mutex mutex_;
  contract::IrqLine irq_;
  contract::ByteSink& output_;
  std::function<void()> on_room_;
  std::deque<uint8_t> received_;
  std::deque<uint8_t> held_;  // written while the transmitter is off
  bool refused_ = false;      // push() could not take everything
  bool overrun_ = false;      // to be told with the next byte
  bool overrun_status_ = false;
  // Registers by their names in the manual, at their reset values but for UARTCR's enable bit.
  uint16_t cr_ = 0x301, ibrd_ = 0, imsc_ = 0, ris_ = 0;
  uint8_t ilpr_ = 0, fbrd_ = 0, lcr_h_ = 0, ifls_ = 0x12, dmacr_ = 0;
};

}  // namespace husk::platform
