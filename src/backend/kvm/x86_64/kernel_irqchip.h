// The interrupt controllers and the timer of a PC in KVM itself (api.rst, KVM_CREATE_IRQCHIP and
// KVM_CREATE_PIT2): nothing of them ever leaves the guest.
#pragma once

#include <cstdint>

#include "husk/error.h"

#include "backend/kvm/common/system.h"
#include "contract/x86/irqchip_state.h"

namespace husk::kvm {

// Thread-safe.
class KernelIrqchip {
 public:
  static constexpr uint32_t kLines = contract::x86::kIoApicPins;

  // Before any vCPU is there. kUnsupported, naming it, for what this KVM lacks.
  [[nodiscard]] static Result<KernelIrqchip> create(const System& system, int vm);

  void set_line(uint32_t gsi, bool level) const;
  // Whether anything is connected to that interrupt.
  [[nodiscard]] static bool has_line(uint32_t gsi);

  // While no vCPU runs.
  [[nodiscard]] Result<contract::x86::IrqchipState> capture() const;
  [[nodiscard]] Result<void> restore(const contract::x86::IrqchipState& state) const;

 private:
  explicit KernelIrqchip(int vm) : vm_(vm) {}
  [[nodiscard]] Result<void> route() const;

  int vm_;
};

}  // namespace husk::kvm
