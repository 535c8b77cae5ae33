#include "backend/kvm/common/irqfd.h"

#include "backend/kvm/common/calls.h"
#include "backend/kvm/common/kvm_api.h"
#include "base/try.h"

namespace husk::kvm {

Result<void> register_irqfd(const System& system, int vm, uint32_t gsi, int eventfd, int resample) {
  constexpr Capability kPlain[] = {{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"}};
  constexpr Capability kResampled[] = {{KVM_CAP_IRQFD_RESAMPLE, "KVM_CAP_IRQFD_RESAMPLE"}};
  HUSK_TRY(system.require(kPlain));
  kvm_irqfd irqfd{};
  irqfd.fd = static_cast<uint32_t>(eventfd);
  irqfd.gsi = gsi;
  if (resample >= 0) {
    HUSK_TRY(system.require(kResampled));
    irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
    irqfd.resamplefd = static_cast<uint32_t>(resample);
  }
  HUSK_TRY(call(vm, HUSK_KVM_CALL(KVM_IRQFD), &irqfd));
  return {};
}

Result<void> unregister_irqfd(int vm, uint32_t gsi, int eventfd) {
  kvm_irqfd irqfd{};
  irqfd.fd = static_cast<uint32_t>(eventfd);
  irqfd.gsi = gsi;
  irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
  HUSK_TRY(call(vm, HUSK_KVM_CALL(KVM_IRQFD), &irqfd));
  return {};
}

}  // namespace husk::kvm
