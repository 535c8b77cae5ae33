// A VM of KVM on aarch64. Satisfies seam::HypervisorVm.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "husk/seam.h"

#include "backend/kvm/aarch64/gic.h"
#include "backend/kvm/aarch64/kvm_vcpu.h"
#include "backend/kvm/common/dax_mapper.h"
#include "backend/kvm/common/memory_slots.h"
#include "backend/kvm/common/system.h"
#include "contract/irq_line.h"
#include "memory/guest_memory.h"

namespace husk::kvm {

class KvmVm final : public memory::WriteObserver {
 public:
  using Vcpu = KvmVcpu;
  static constexpr uint64_t kGicDistributor = Gic::kDistributor;
  static constexpr uint64_t kGicRedistributors = Gic::kRedistributors;
  static constexpr uint32_t kSpis = Gic::kSpis;

  // kUnsupported, naming it, when this KVM lacks something that the VM is built on.
  [[nodiscard]] static Result<void> require(const System& system);
  [[nodiscard]] static uint32_t most_vcpus(const System& system);
  [[nodiscard]] static Result<std::unique_ptr<KvmVm>> create(uint32_t vcpus);
  ~KvmVm();
  KvmVm(const KvmVm&) = delete;
  KvmVm& operator=(const KvmVm&) = delete;
  // The memory that map_ram() maps: its dirty log asks this VM what vCPUs wrote. Outlives the VM.
  // Before any vCPU runs.
  void attach_memory(memory::GuestMemory& memory);

  [[nodiscard]] Result<void> map_ram(std::byte* host, uint64_t gpa, uint64_t length,
                                     seam::Prot prot);
  [[nodiscard]] Result<void> unmap_ram(uint64_t gpa, uint64_t length);
  [[nodiscard]] Result<std::unique_ptr<DaxMapper>> dax_mapper(uint64_t gpa, uint64_t length);
  // Ids in order from 0. All but vCPU 0 wait for PSCI's CPU_ON. The last one starts the GIC: none
  // may run before it is there.
  [[nodiscard]] Result<std::unique_ptr<KvmVcpu>> create_vcpu(uint32_t id);

  // By the number of an SPI, which is its INTID less 32.
  void set_irq(uint32_t spi, bool level) { gic_.set_line(spi, level); }
  [[nodiscard]] contract::IrqLine irq_line(uint32_t spi);
  // The GIC, in its canonical form, of all vCPUs. While none runs, all being there.
  [[nodiscard]] Result<std::vector<std::byte>> capture_intc();
  [[nodiscard]] Result<void> restore_intc(std::span<const std::byte> state);

  // seam::HasDoorbells
  [[nodiscard]] Result<void> ring_on_write(uint64_t gpa, uint32_t size, uint64_t value,
                                           int eventfd);

  // seam::HasIrqfds, by the number of an SPI, which is what KVM's own routes go by.
  [[nodiscard]] Result<void> register_irqfd(uint32_t spi, int eventfd, int resample);
  [[nodiscard]] Result<void> unregister_irqfd(uint32_t spi, int eventfd);

  [[nodiscard]] static uint64_t host_monotonic_ticks();

  // memory::WriteObserver
  void host_wrote(Gpa, uint64_t) override {}
  Result<void> track_writes(bool on) override { return slots_.set_logging(on); }
  Result<void> report_writes(memory::GuestMemory& memory) override;

 private:
  KvmVm(System system, base::Fd vm, Gic gic, uint32_t vcpus);
  [[nodiscard]] Result<void> initialize(int vcpu, uint32_t id) const;

  System system_;
  base::Fd vm_;
  Gic gic_;
  uint32_t vcpus_;
  std::vector<uint64_t> mpidrs_;  // affinities of those that are there
  MemorySlots slots_;
  memory::GuestMemory* memory_ = nullptr;
};

}  // namespace husk::kvm
