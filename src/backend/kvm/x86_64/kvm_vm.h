// A VM of KVM on x86-64. Satisfies seam::HypervisorVm.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "husk/cpu_model.h"
#include "husk/seam.h"

#include "backend/kvm/common/dirty_ring.h"
#include "backend/kvm/common/vm_base.h"
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
  void attach_controller(contract::InterruptController& controller);
  [[nodiscard]] contract::InterruptSink& interrupt_sink() { return irqchip_; }
  [[nodiscard]] Result<std::vector<std::byte>> capture_intc();
  [[nodiscard]] Result<void> restore_intc(std::span<const std::byte> state);

  // memory::WriteObserver
  Result<void> report_writes(memory::GuestMemory& memory) override;

 private:
  KvmVm(System system, base::Fd vm, uint32_t vcpus);
  [[nodiscard]] Result<void> set_up(const Options& options);
  // Marks what the rings hold; any thread.
  Result<void> harvest();

  uint32_t vcpus_;
  uint32_t created_ = 0;
  SplitIrqchip irqchip_;
  CpuModel cpu_model_ = CpuModel::kHost;
  contract::x86::CpuidTable cpuid_;  // the model's, without a topology
  size_t xsave_size_ = 0;
  uint32_t ring_entries_ = 0;
  std::mutex ring_mutex_;
  std::vector<DirtyRing> rings_;
};

}  // namespace husk::kvm
