#include "platform/chipset.h"

#include "base/try.h"
#include "contract/x86/irqchip_codec.h"
#include "platform/pc_layout.h"

namespace husk::platform {

Chipset::Chipset(contract::InterruptSink& sink, contract::AlarmFactory& alarms,
                 Pit8254::Clock clock)
    : pic_(sink),
      ioapic_(sink),
      pit_(alarms,
           {[](void* self, uint32_t gsi, bool level) {
              static_cast<Chipset*>(self)->set_line(gsi, level);
            },
            this, kPitGsi},
           clock) {}

Result<void> Chipset::attach(Bus& ports, Bus& mmio) {
  HUSK_TRY(ports.attach(kPicMaster, 2, pic_.master_port()));
  HUSK_TRY(ports.attach(kPicSlave, 2, pic_.slave_port()));
  HUSK_TRY(ports.attach(kPicElcr, 2, pic_.elcr_port()));
  HUSK_TRY(ports.attach(kPitPorts, 4, pit_.ports()));
  HUSK_TRY(ports.attach(kSystemControl, 1, pit_.system_control()));
  return mmio.attach(IoApic::kBase, IoApic::kSize, ioapic_);
}

void Chipset::set_line(uint32_t gsi, bool level) {
  if (gsi < 16) pic_.set_line(gsi, level);
  ioapic_.set_pin(gsi == kPitGsi ? 2 : gsi, level);
}

std::vector<std::byte> Chipset::capture() const {
  return contract::x86::write_irqchip_state({pic_.capture(), ioapic_.capture(), pit_.capture()});
}

Result<void> Chipset::restore(std::span<const std::byte> state) {
  const auto read = HUSK_TRY(contract::x86::read_irqchip_state(state));
  ioapic_.restore(read.ioapic);
  pit_.restore(read.pit);
  pic_.restore(read.pics);
  return {};
}

}  // namespace husk::platform
