// The bus between the local APICs, and from the chipset to them.
#pragma once

#include <atomic>
#include <vector>

#include "backend/soft/apic/local_apic.h"
#include "contract/interrupt.h"

namespace husk::soft {

// Routes messages by destination (Intel SDM vol. 3, 11.6.2; 11.12.10 for x2APIC). Thread-safe once
// the vCPUs run: add() and connect() come before that, and the APICs and the controller outlive the
// last message.
class ApicBus final : public contract::InterruptSink, public ApicFabric {
 public:
  void add(LocalApic& apic);
  // The chipset; without one, EOIs go nowhere and an ExtINT is spurious.
  void connect(contract::InterruptController* controller) { controller_ = controller; }

  // From the I/O APIC or an MSI: a destination of 0xff means all.
  void deliver(const contract::InterruptMessage& message) override;
  void set_extint(bool asserted) override;

  void send_ipi(LocalApic& from, IpiTarget target,
                const contract::InterruptMessage& message) override;
  void end_of_interrupt(uint8_t vector) override;
  uint8_t acknowledge_extint() override;

 private:
  void route(const contract::InterruptMessage& message);
  [[nodiscard]] LocalApic* arbitrate(const contract::InterruptMessage& message);

  std::vector<LocalApic*> apics_;
  contract::InterruptController* controller_ = nullptr;
  std::atomic<uint32_t> round_{0};  // where the next tie among equals starts
};

}  // namespace husk::soft
