// A VM of KVM on aarch64. Satisfies seam::HypervisorVm.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "husk/cpu_model.h"
#include "husk/seam.h"

#include "backend/kvm/aarch64/gic.h"
#include "backend/kvm/aarch64/kvm_vcpu.h"
#include "backend/kvm/common/vm_base.h"
#include "contract/irq_line.h"

namespace husk::kvm {

class KvmVm final : public VmBase {
 public:
  using Vcpu = KvmVcpu;
  static constexpr uint64_t kGicDistributor = Gic::kDistributor;
  static constexpr uint64_t kGicRedistributors = Gic::kRedistributors;
  static constexpr uint32_t kSpis = Gic::kSpis;

  // kUnsupported, naming it, when this KVM lacks something that the VM is built on.
  [[nodiscard]] static Result<void> require(const System& system);
  [[nodiscard]] static uint32_t most_vcpus(const System& system);
  [[nodiscard]] static Result<std::unique_ptr<KvmVm>> create(uint32_t vcpus,
                                                             CpuModel cpu_model = CpuModel::kHost);
  // Only the host's own processor is shown to guests of this architecture.
  [[nodiscard]] static Result<void> can_show(CpuModel model);

  // Ids in order from 0. All but vCPU 0 wait for PSCI's CPU_ON. The last one starts the GIC: none
  // may run before it is there.
  [[nodiscard]] Result<std::unique_ptr<KvmVcpu>> create_vcpu(uint32_t id);

  // seam::HasHypercalls: by SMC and HVC, those of a vendor's hypervisor (Arm DEN0028, table 2-1)
  // whose numbers KVM does not use.
  [[nodiscard]] Result<void> exit_on_hypercalls(bool on);

  // By the number of an SPI, which is its INTID less 32.
  void set_irq(uint32_t spi, bool level) { gic_.set_line(spi, level); }
  [[nodiscard]] contract::IrqLine irq_line(uint32_t spi);
  // The GIC, in its canonical form, of all vCPUs. While none runs, all being there.
  [[nodiscard]] Result<std::vector<std::byte>> capture_intc();
  [[nodiscard]] Result<void> restore_intc(std::span<const std::byte> state);

  // seam::HasIrqfds, by the number of an SPI, which is what KVM's own routes go by.
  [[nodiscard]] Result<void> register_irqfd(uint32_t spi, int eventfd, int resample);
  [[nodiscard]] Result<void> unregister_irqfd(uint32_t spi, int eventfd);

 private:
  KvmVm(System system, base::Fd vm, Gic gic, uint32_t vcpus);
  [[nodiscard]] Result<void> initialize(int vcpu, uint32_t id) const;

  Gic gic_;
  uint32_t vcpus_;
  std::vector<uint64_t> mpidrs_;  // affinities of those that are there
  bool hypercalls_exit_ = false;
};

}  // namespace husk::kvm
