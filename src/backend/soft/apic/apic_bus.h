// The interrupt bus: every local APIC of a machine, and where messages to them come in.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "contract/interrupt.h"

namespace husk::soft::apic {

class LocalApic;

// Members are added before the vCPUs run; afterwards everything here is thread-safe.
class ApicBus final : public contract::InterruptSink {
 public:
  void add(LocalApic& apic) { apics_.push_back(&apic); }
  [[nodiscard]] size_t size() const { return apics_.size(); }

  // What the APICs report EOIs to and take ExtINT vectors from; may be absent.
  void set_controller(contract::InterruptController* controller) { controller_ = controller; }
  [[nodiscard]] contract::InterruptController* controller() const { return controller_; }

  void deliver(const contract::InterruptMessage& message) override;
  void set_extint(bool asserted) override;

  // An IPI. The values are those of the ICR's field.
  enum class Shorthand : uint8_t { kNone, kSelf, kAll, kOthers };
  void send(LocalApic& from, Shorthand shorthand, const contract::InterruptMessage& message);

 private:
  // Of those that the message is for, the one with the lowest priority; equals take turns.
  [[nodiscard]] LocalApic* arbitrate(const contract::InterruptMessage& message);

  std::vector<LocalApic*> apics_;
  std::atomic<uint32_t> turn_{0};
  contract::InterruptController* controller_ = nullptr;
};

}  // namespace husk::soft::apic
