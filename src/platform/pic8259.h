// The pair of 8259A interrupt controllers of a PC (Intel 8259A data sheet), with the edge/level
// registers that chipsets put beside them. Not there: the 8080's mode, buffered mode and the
// special fully nested mode. An edge is remembered even when its line falls again before it is
// taken. Thread-safe.
#pragma once

#include <array>
#include <mutex>

#include "contract/interrupt.h"
#include "contract/x86/irqchip_state.h"
#include "platform/byte_device.h"

namespace husk::platform {

class Pic8259 {
 public:
  explicit Pic8259(contract::InterruptSink& sink)
      : sink_(sink), master_port_(*this, 0), slave_port_(*this, 1), elcr_port_(*this) {}

  contract::IoHandler& master_port() { return master_port_; }
  contract::IoHandler& slave_port() { return slave_port_; }
  contract::IoHandler& elcr_port() { return elcr_port_; }

  void set_line(uint32_t irq, bool level);
  // The interrupt acknowledge cycle: the vector, which is the spurious one when the request is
  // gone.
  uint8_t acknowledge();

  // The first is the master.
  using State = std::array<contract::x86::PicState, 2>;
  [[nodiscard]] State capture() const;
  void restore(const State& state);  // drives INTR as the state wants it

 private:
  struct Chip : contract::x86::PicState {
    [[nodiscard]] int pending() const;  // the input to serve, -1 for none
    void take(int input);
    void command(uint8_t value);
    void initialise(uint8_t command_word);
    void end_of_interrupt(uint8_t command_word);
    [[nodiscard]] int served() const;  // the input a non-specific EOI means, -1 for none
    void select_levels(uint8_t inputs);
    void data(uint8_t value);
  };

  class ChipPort : public ByteDevice {
   public:
    ChipPort(Pic8259& pic, size_t chip) : pic_(pic), chip_(chip) {}
    [[nodiscard]] std::string_view name() const override { return "pic8259"; }

   private:
    uint8_t read_byte(uint64_t offset) override { return pic_.read_chip(chip_, offset); }
    void write_byte(uint64_t offset, uint8_t value) override {
      pic_.write_chip(chip_, offset, value);
    }

    Pic8259& pic_;
    size_t chip_;
  };
  class ElcrPort : public ByteDevice {
   public:
    explicit ElcrPort(Pic8259& pic) : pic_(pic) {}
    [[nodiscard]] std::string_view name() const override { return "elcr"; }

   private:
    uint8_t read_byte(uint64_t offset) override;
    void write_byte(uint64_t offset, uint8_t value) override;

    Pic8259& pic_;
  };

  uint8_t read_chip(size_t chip, uint64_t offset);
  void write_chip(size_t chip, uint64_t offset, uint8_t value);
  void update();  // with the lock held: cascades and drives INTR

  mutable std::mutex mutex_;
  contract::InterruptSink& sink_;
  std::array<Chip, 2> chips_;
  ChipPort master_port_, slave_port_;
  ElcrPort elcr_port_;
};

}  // namespace husk::platform
