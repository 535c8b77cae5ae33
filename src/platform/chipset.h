// The interrupt controllers and the timer of the board as one, the chips of which KVM has its own:
// the 8259 pair and the I/O APIC side by side on the same lines, as on a PC, and the 8254. ISA
// interrupt 0, which is the timer's, is wired to I/O APIC pin 2.
#pragma once

#include "contract/interrupt.h"
#include "platform/bus.h"
#include "platform/ioapic.h"
#include "platform/pic8259.h"
#include "platform/pit8254.h"

namespace husk::platform {

// Locks: each chip has its own. The timer calls the controllers, which do not call each other; the
// sink is called with the timer's and the 8259's locks held (it only sets a flag) and without the
// I/O APIC's.
class Chipset : public contract::InterruptController {
 public:
  Chipset(contract::InterruptSink& sink, contract::AlarmFactory& alarms, Pit8254::Clock clock);

  // Puts all chips on the buses, which do not outlive them.
  [[nodiscard]] Result<void> attach(Bus& ports, Bus& mmio);

  [[nodiscard]] Pic8259& pic() { return pic_; }
  [[nodiscard]] IoApic& ioapic() { return ioapic_; }
  [[nodiscard]] Pit8254& pit() { return pit_; }

  void set_line(uint32_t gsi, bool level) override;
  void end_of_interrupt(uint8_t vector) override { ioapic_.end_of_interrupt(vector); }
  uint8_t acknowledge_extint() override { return pic_.acknowledge(); }
  // In the canonical form (contract/x86/irqchip_codec.h).
  [[nodiscard]] std::vector<std::byte> capture() const override;
  [[nodiscard]] Result<void> restore(std::span<const std::byte> state) override;

 private:
  Pic8259 pic_;
  IoApic ioapic_;
  Pit8254 pit_;  // last: it raises the line of all of the above
};

}  // namespace husk::platform
