// Where the board's own I/O APIC and 8259 pair meet the local APICs that KVM keeps (KVM's "split
// irqchip", api.rst, KVM_CAP_SPLIT_IRQCHIP).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "husk/error.h"

#include "contract/interrupt.h"

namespace husk::kvm {

// Thread-safe.
class SplitIrqchip final : public contract::InterruptSink {
 public:
  static constexpr uint32_t kPins = 24;

  explicit SplitIrqchip(int vm) : vm_(vm) {}

  // Before any vCPU runs.
  void set_controller(contract::InterruptController* controller) { controller_ = controller; }
  [[nodiscard]] contract::InterruptController* controller() const { return controller_; }
  // Called when the 8259s begin to assert INTR; gets the boot vCPU out of the guest.
  void set_kick(std::function<void()> kick) { kick_ = std::move(kick); }

  void deliver(const contract::InterruptMessage& message) override;
  void set_extint(bool asserted) override;
  [[nodiscard]] bool extint() const { return extint_.load(std::memory_order_acquire); }

 private:
  void want_end_of_interrupt(uint32_t address, uint32_t address_high, uint32_t data);

  int vm_;
  contract::InterruptController* controller_ = nullptr;
  std::function<void()> kick_;
  std::atomic<bool> extint_{false};

  // Messages of level-triggered pins: KVM tells the end of such an interrupt only for those that
  // are in its routing table.
  struct Route {
    uint32_t address = 0, address_high = 0, data = 0;
    bool operator==(const Route&) const = default;
  };
  std::mutex mutex_;
  std::vector<Route> routes_;
  size_t oldest_ = 0;
};

}  // namespace husk::kvm
