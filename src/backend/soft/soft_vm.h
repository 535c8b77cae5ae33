// A VM of the built-in CPU. Satisfies seam::HypervisorVm.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "husk/cpu_model.h"
#include "husk/seam.h"

#include "backend/soft/dax_mapper.h"
#include "backend/soft/soft_vcpu.h"
#include "contract/irq_line.h"

namespace husk::soft {

class SoftVm {
 public:
  using Vcpu = SoftVcpu;

  // The vCPU count is fixed, as CPUID and the APIC bus show it.
  [[nodiscard]] static Result<std::unique_ptr<SoftVm>> create(uint32_t vcpus,
                                                              CpuModel cpu_model = CpuModel::kHost);
  // kUnsupported, naming the first feature that the built-in CPU lacks.
  [[nodiscard]] static Result<void> can_show(CpuModel model);
  ~SoftVm();
  SoftVm(const SoftVm&) = delete;
  SoftVm& operator=(const SoftVm&) = delete;
  // The memory that map_ram() maps: logs what vCPUs write, tells what the host writes. Outlives the
  // VM. Before any vCPU runs.
  void attach_memory(memory::GuestMemory& memory);

  [[nodiscard]] Result<void> map_ram(std::byte* host, uint64_t gpa, uint64_t length,
                                     seam::Prot prot);
  [[nodiscard]] Result<void> unmap_ram(uint64_t gpa, uint64_t length);
  // A window for file pages at [gpa, gpa + length). Before any vCPU runs.
  [[nodiscard]] Result<std::unique_ptr<DaxMapper>> dax_mapper(uint64_t gpa, uint64_t length);
  // Ids in order from 0. The vCPU belongs to the thread that steps it; it is created before any of
  // them runs, so that every interrupt finds its target.
  [[nodiscard]] Result<std::unique_ptr<SoftVcpu>> create_vcpu(uint32_t id);

  // seam::HasHypercalls: those of the guest's ring 0, all of them.
  [[nodiscard]] Result<void> exit_on_hypercalls(bool on);

  void set_irq(uint32_t gsi, bool level);
  [[nodiscard]] contract::IrqLine irq_line(uint32_t gsi);
  // The chipset's interrupt controller: this backend has none of its own (see
  // contract/interrupt.h).
  void attach_controller(contract::InterruptController& controller);
  [[nodiscard]] contract::InterruptSink& interrupt_sink() { return machine_.bus; }
  [[nodiscard]] Result<std::vector<std::byte>> capture_intc();
  [[nodiscard]] Result<void> restore_intc(std::span<const std::byte> state);

  [[nodiscard]] static uint64_t host_monotonic_ticks();

 private:
  SoftVm(uint32_t vcpus, CpuModel cpu_model);

  SharedMachine machine_;
  std::deque<apic::VcpuSignal> signals_;
  uint32_t created_ = 0;
};

}  // namespace husk::soft
