#include "backend/kvm/x86_64/split_irqchip.h"

#include <algorithm>
#include <array>

#include "backend/kvm/common/calls.h"
#include "base/log.h"

namespace husk::kvm {

void SplitIrqchip::set_extint(bool asserted) {
  if (extint_.exchange(asserted, std::memory_order_acq_rel) || !asserted) return;
  if (kick_) kick_();
}

// A message's address and data as on PCI (Intel SDM vol. 3, 11.11).
void SplitIrqchip::deliver(const contract::InterruptMessage& message) {
  kvm_msi msi{};
  msi.address_lo = 0xfee00000 | (message.destination & 0xff) << 12 |
                   (message.mode == contract::DeliveryMode::kLowestPriority ? 1u << 3 : 0) |
                   (message.logical ? 1u << 2 : 0);
  msi.address_hi = message.destination & 0xffffff00;
  msi.data = message.vector | static_cast<uint32_t>(message.mode) << 8 |
             (message.level_triggered ? 1u << 15 | 1u << 14 : 0);
  if (message.level_triggered) want_end_of_interrupt(msi.address_lo, msi.address_hi, msi.data);
  // A message that no local APIC takes is lost, as on the bus.
  (void)call(vm_, HUSK_KVM_CALL(KVM_SIGNAL_MSI), &msi);
}

void SplitIrqchip::want_end_of_interrupt(uint32_t address, uint32_t address_high, uint32_t data) {
  const Route route{address, address_high, data};
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(routes_, route) != routes_.end()) return;
  if (routes_.size() < kPins) {
    routes_.push_back(route);
  } else {
    routes_[oldest_++ % kPins] = route;
  }
  alignas(kvm_irq_routing)
      std::array<std::byte, sizeof(kvm_irq_routing) + kPins * sizeof(kvm_irq_routing_entry)>
          bytes{};
  auto& table = *reinterpret_cast<kvm_irq_routing*>(bytes.data());
  table.nr = static_cast<uint32_t>(routes_.size());
  for (uint32_t i = 0; i < routes_.size(); ++i) {
    kvm_irq_routing_entry& entry = table.entries[i];
    entry.gsi = i;
    entry.type = KVM_IRQ_ROUTING_MSI;
    entry.u.msi.address_lo = routes_[i].address;
    entry.u.msi.address_hi = routes_[i].address_high;
    entry.u.msi.data = routes_[i].data;
  }
  const auto result = call(vm_, HUSK_KVM_CALL(KVM_SET_GSI_ROUTING), &table);
  if (!result) base::log(base::LogLevel::kWarn, "{}", result.error().message());
}

}  // namespace husk::kvm
