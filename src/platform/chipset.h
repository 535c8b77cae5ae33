// The interrupt controllers of the board as one: the 8259 pair and the I/O APIC side by side on the
// same lines, as on a PC. ISA interrupt 0 is wired to I/O APIC pin 2.
#pragma once

#include "contract/interrupt.h"
#include "platform/ioapic.h"
#include "platform/pic8259.h"

namespace husk::platform {

// Locks: each chip has its own, and neither calls the other; the sink is called with the 8259's
// lock held (it only sets a flag) and without the I/O APIC's.
class Chipset : public contract::InterruptController {
 public:
  explicit Chipset(contract::InterruptSink& sink) : pic_(sink), ioapic_(sink) {}

  [[nodiscard]] Pic8259& pic() { return pic_; }
  [[nodiscard]] IoApic& ioapic() { return ioapic_; }

  void set_line(uint32_t gsi, bool level) override;
  void end_of_interrupt(uint8_t vector) override { ioapic_.end_of_interrupt(vector); }
  uint8_t acknowledge_extint() override { return pic_.acknowledge(); }
  [[nodiscard]] std::vector<std::byte> capture() const override;
  [[nodiscard]] Result<void> restore(std::span<const std::byte> state) override;

 private:
  Pic8259 pic_;
  IoApic ioapic_;
};

}  // namespace husk::platform
