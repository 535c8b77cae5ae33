#include "backend/kvm/aarch64/gic.h"

#include "backend/kvm/aarch64/gic_registers.h"
#include "backend/kvm/common/calls.h"
#include "base/log.h"
#include "base/try.h"

namespace husk::kvm {

Result<Gic> Gic::create(int vm) {
  kvm_create_device device{.type = KVM_DEV_TYPE_ARM_VGIC_V3, .fd = 0, .flags = 0};
  if (!call(vm, HUSK_KVM_CALL(KVM_CREATE_DEVICE), &device))
    return fail(ErrorKind::kUnsupported, "KVM", "has no GICv3 on this host");
  Gic gic(vm, base::Fd(static_cast<int>(device.fd)));
  const int fd = gic.device_.get();
  HUSK_TRY(set_gic<uint32_t>(fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, kInterrupts));
  HUSK_TRY(set_gic(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, kDistributor));
  HUSK_TRY(set_gic(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, kRedistributors));
  return gic;
}

Result<void> Gic::start() {
  kvm_device_attr attr{};
  attr.group = KVM_DEV_ARM_VGIC_GRP_CTRL;
  attr.attr = KVM_DEV_ARM_VGIC_CTRL_INIT;
  HUSK_TRY(call(device_.get(), HUSK_KVM_CALL(KVM_SET_DEVICE_ATTR), &attr));
  return {};
}

void Gic::set_line(uint32_t spi, bool level) const {
  if (spi >= kSpis) return;
  kvm_irq_level line{};
  line.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (kPrivate + spi);
  line.level = level ? 1 : 0;
  const auto done = call(vm_, HUSK_KVM_CALL(KVM_IRQ_LINE), &line);
  if (!done) base::log(base::LogLevel::kWarn, "SPI {}: {}", spi, done.error().message());
}

}  // namespace husk::kvm
