// A VM of KVM on x86-64. Satisfies seam::HypervisorVm.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "husk/cpu_model.h"
#include "husk/seam.h"

#include "backend/kvm/common/dirty_ring.h"
#include "backend/kvm/common/vm_base.h"
#include "backend/kvm/x86_64/kernel_irqchip.h"
#include "backend/kvm/x86_64/kvm_vcpu.h"
#include "backend/kvm/x86_64/split_irqchip.h"
#include "contract/irq_line.h"
#include "contract/x86/cpuid.h"

namespace husk::kvm {

class KvmVm final : public VmBase {
 public:
  using Vcpu = KvmVcpu;

  // kUnsupported, naming it, when this KVM lacks something that the VM is built on.
  [[nodiscard]] static Result<void> require(const System& system);
  [[nodiscard]] static uint32_t most_vcpus(const System& system);
  // kUnsupported, naming the first feature that this KVM does not show guests.
  [[nodiscard]] static Result<void> can_show(CpuModel model);
  struct Options {
    // How writes are noted while they are tracked: 0, in bitmaps of whole slots; else in a ring of
    // that many entries (a power of two) for each vCPU, whose cost goes with what was written.
    uint32_t dirty_ring_entries = 0;
    CpuModel cpu_model = CpuModel::kHost;
    seam::Irqchip irqchip = seam::Irqchip::kSplit;
  };
  [[nodiscard]] static Result<std::unique_ptr<KvmVm>> create(uint32_t vcpus,
                                                             CpuModel cpu_model = CpuModel::kHost) {
    Options options;
    options.cpu_model = cpu_model;
    return create(vcpus, options);
  }
  [[nodiscard]] static Result<std::unique_ptr<KvmVm>> create(uint32_t vcpus,
                                                             const Options& options);

  // Ids in order from 0.
  [[nodiscard]] Result<std::unique_ptr<KvmVcpu>> create_vcpu(uint32_t id);

  // seam::HasHypercalls: KVM_HC_MAP_GPA_RANGE; KVM answers all others.
  [[nodiscard]] Result<void> exit_on_hypercalls(bool on);

  void set_irq(uint32_t gsi, bool level);
  [[nodiscard]] contract::IrqLine irq_line(uint32_t gsi);
  // seam::HasIrqchipChoice. With the kernel's there is no controller to attach.
  [[nodiscard]] seam::Irqchip irqchip() const {
    return kernel_irqchip_ ? seam::Irqchip::kKernel : seam::Irqchip::kSplit;
  }
  void attach_controller(contract::InterruptController& controller);
  [[nodiscard]] contract::InterruptSink& interrupt_sink() { return split_irqchip_; }
  [[nodiscard]] Result<std::vector<std::byte>> capture_intc();
  [[nodiscard]] Result<void> restore_intc(std::span<const std::byte> state);

  // seam::HasIrqfds: with the kernel's chips. KVM knows no interrupts by number otherwise.
  [[nodiscard]] Result<void> register_irqfd(uint32_t gsi, int eventfd, int resample);
  [[nodiscard]] Result<void> unregister_irqfd(uint32_t gsi, int eventfd);

  // memory::WriteObserver
  Result<void> report_writes(memory::GuestMemory& memory) override;

 private:
  KvmVm(System system, base::Fd vm, uint32_t vcpus);
  [[nodiscard]] Result<void> set_up(const Options& options);
  [[nodiscard]] Result<void> set_up_irqchip(seam::Irqchip irqchip);
  // Marks what the rings hold; any thread.
  Result<void> harvest();

  uint32_t vcpus_;
  uint32_t created_ = 0;
  CpuModel cpu_model_ = CpuModel::kHost;
  contract::x86::CpuidTable cpuid_;  // the model's, without a topology
  SplitIrqchip split_irqchip_;
  std::optional<KernelIrqchip> kernel_irqchip_;  // in its place
  size_t xsave_size_ = 0;
  uint32_t ring_entries_ = 0;
  std::mutex ring_mutex_;
  std::vector<DirtyRing> rings_;
};

}  // namespace husk::kvm
