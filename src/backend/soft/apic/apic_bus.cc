#include "backend/soft/apic/apic_bus.h"

#include "backend/soft/apic/local_apic.h"

namespace husk::soft::apic {

void ApicBus::deliver(const contract::InterruptMessage& message) {
  if (message.mode != contract::DeliveryMode::kLowestPriority) {
    for (LocalApic* apic : apics_) {
      if (apic->matches(message)) apic->accept(message);
    }
    return;
  }
  LocalApic* chosen = nullptr;
  for (LocalApic* apic : apics_) {
    if (apic->matches(message) && (chosen == nullptr || apic->priority() < chosen->priority())) chosen = apic;
  }
  if (chosen != nullptr) chosen->accept(message);
}

// The 8259's output goes to the boot processor's LINT0.
void ApicBus::set_extint(bool asserted) {
  if (!apics_.empty()) apics_.front()->set_extint(asserted);
}

void ApicBus::send(LocalApic& from, Shorthand shorthand, const contract::InterruptMessage& message) {
  switch (shorthand) {
    case Shorthand::kNone: deliver(message); return;
    case Shorthand::kSelf: from.accept(message); return;
    default: break;
  }
  for (LocalApic* apic : apics_) {
    if (apic != &from || shorthand == Shorthand::kAll) apic->accept(message);
  }
}

}  // namespace husk::soft::apic
