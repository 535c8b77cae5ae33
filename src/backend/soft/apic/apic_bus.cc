#include "backend/soft/apic/apic_bus.h"

#include "backend/soft/apic/local_apic.h"

namespace husk::soft::apic {

void ApicBus::deliver(const contract::InterruptMessage& message) {
  if (message.mode == contract::DeliveryMode::kLowestPriority) {
    if (LocalApic* apic = arbitrate(message)) apic->accept(message);
    return;
  }
  for (LocalApic* apic : apics_) {
    if (apic->matches(message)) apic->accept(message);
  }
}

// Intel SDM vol. 3, 11.6.2.4. An APIC that software has disabled would lose the message.
LocalApic* ApicBus::arbitrate(const contract::InterruptMessage& message) {
  const uint32_t first = turn_.fetch_add(1, std::memory_order_relaxed);
  LocalApic* chosen = nullptr;
  for (size_t i = 0; i < apics_.size(); ++i) {
    LocalApic* apic = apics_[(first + i) % apics_.size()];
    if (!apic->enabled() || !apic->matches(message)) continue;
    if (chosen == nullptr || (apic->priority() >> 4) < (chosen->priority() >> 4)) chosen = apic;
  }
  return chosen;
}

// The 8259's output goes to the boot processor's LINT0.
void ApicBus::set_extint(bool asserted) {
  if (!apics_.empty()) apics_.front()->set_extint(asserted);
}

void ApicBus::send(LocalApic& from, Shorthand shorthand,
                   const contract::InterruptMessage& message) {
  switch (shorthand) {
    case Shorthand::kNone:
      deliver(message);
      return;
    case Shorthand::kSelf:
      from.accept(message);
      return;
    default:
      break;
  }
  for (LocalApic* apic : apics_) {
    if (apic != &from || shorthand == Shorthand::kAll) apic->accept(message);
  }
}

}  // namespace husk::soft::apic
