// The I/O APIC (Intel 82093AA data sheet, with version 0x20's EOI register).
#pragma once

#include <mutex>
#include <span>
#include <vector>

#include "contract/interrupt.h"
#include "contract/io_handler.h"
#include "contract/x86/irqchip_state.h"

namespace husk::platform {

// Lines are logical: asserted or not; the polarity bit is kept and has no effect. Thread-safe.
// Messages go out without the lock held, so that the sink may call back.
class IoApic : public contract::IoHandler {
 public:
  static constexpr uint64_t kBase = 0xfec00000, kSize = 0x1000;
  static constexpr size_t kPins = contract::x86::kIoApicPins;

  explicit IoApic(contract::InterruptSink& sink) : sink_(sink) {}

  [[nodiscard]] std::string_view name() const override { return "ioapic"; }
  uint64_t read(uint64_t offset, uint32_t size) override;
  void write(uint64_t offset, uint32_t size, uint64_t value) override;
  void set_pin(uint32_t pin, bool level);
  void end_of_interrupt(uint8_t vector);

  using State = contract::x86::IoApicState;
  [[nodiscard]] State capture() const;
  void restore(const State& state);

 private:
  static constexpr uint64_t kMasked = State::kMasked, kLevel = State::kLevel,
                            kRemoteIrr = State::kRemoteIrr;

  [[nodiscard]] uint32_t read_indirect() const;
  void write_indirect(uint32_t value, std::vector<contract::InterruptMessage>& out);
  // Appends what `pin` has to send now.
  void service(size_t pin, std::vector<contract::InterruptMessage>& out);
  void acknowledge(uint8_t vector, std::vector<contract::InterruptMessage>& out);
  void send(std::span<const contract::InterruptMessage> messages);

  mutable std::mutex mutex_;
  contract::InterruptSink& sink_;
  State state_;
};

}  // namespace husk::platform
