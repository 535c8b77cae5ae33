#include "backend/soft/soft_vm.h"

#include "backend/soft/interp/cpuid.h"
#include "base/clock.h"
#include "base/try.h"
#include "contract/x86/cpu_model.h"

namespace husk::soft {

static_assert(seam::HypervisorVm<SoftVm>);
static_assert(seam::HasDebug<SoftVcpu>);
static_assert(seam::HasHypercalls<SoftVm>);

SoftVm::SoftVm(uint32_t vcpus, CpuModel cpu_model) : signals_(vcpus) {
  machine_.vcpu_count = vcpus;
  machine_.cpu_model = cpu_model;
  machine_.cpuid = contract::x86::shown_cpuid(interp::offered_cpuid(), cpu_model);
  // Guest time starts at zero.
  machine_.time_offset = -base::monotonic_ns();
}

Result<std::unique_ptr<SoftVm>> SoftVm::create(uint32_t vcpus, CpuModel cpu_model) {
  HUSK_TRY(can_show(cpu_model));
  if (vcpus == 0 || vcpus > mmu::PhysicalMap::kMaxVcpus)
    return fail(ErrorKind::kInvalidArgument, "vCPUs",
                "must be 1 to " + std::to_string(mmu::PhysicalMap::kMaxVcpus));
  return std::unique_ptr<SoftVm>(new SoftVm(vcpus, cpu_model));
}

Result<void> SoftVm::can_show(CpuModel model) {
  return contract::x86::require_model(interp::offered_cpuid(), model, "the built-in CPU");
}

SoftVm::~SoftVm() {
  if (machine_.memory.dirty_log() != nullptr) machine_.memory.dirty_log()->set_observer(nullptr);
}

void SoftVm::attach_memory(memory::GuestMemory& memory) {
  machine_.memory.set_dirty_log(&memory);
  memory.set_observer(&machine_.memory);
}

Result<void> SoftVm::map_ram(std::byte* host, uint64_t gpa, uint64_t length, seam::Prot prot) {
  const bool writable =
      (static_cast<uint8_t>(prot) & static_cast<uint8_t>(seam::Prot::kWrite)) != 0;
  return machine_.memory.map(host, gpa, length, writable);
}

Result<void> SoftVm::unmap_ram(uint64_t gpa, uint64_t length) {
  return machine_.memory.unmap(gpa, length);
}

Result<std::unique_ptr<DaxMapper>> SoftVm::dax_mapper(uint64_t gpa, uint64_t length) {
  auto window = HUSK_TRY(memory::FileWindow::create(length));
  HUSK_TRY(machine_.memory.map(window.host(), gpa, length, true));
  return std::make_unique<DaxMapper>(std::move(window), gpa, machine_.memory);
}

Result<std::unique_ptr<SoftVcpu>> SoftVm::create_vcpu(uint32_t id) {
  if (id != created_ || id >= machine_.vcpu_count)
    return fail(ErrorKind::kInvalidArgument, "vCPU " + std::to_string(id),
                "ids go from 0 in order, below " + std::to_string(machine_.vcpu_count));
  ++created_;
  return std::make_unique<SoftVcpu>(machine_, id, signals_[id]);
}

Result<void> SoftVm::exit_on_hypercalls(bool on) {
  machine_.exits_on_hypercalls = on;
  return {};
}

void SoftVm::set_irq(uint32_t gsi, bool level) {
  if (machine_.bus.controller() != nullptr) machine_.bus.controller()->set_line(gsi, level);
}

contract::IrqLine SoftVm::irq_line(uint32_t gsi) {
  return {
      [](void* vm, uint32_t line, bool level) { static_cast<SoftVm*>(vm)->set_irq(line, level); },
      this, gsi};
}

void SoftVm::attach_controller(contract::InterruptController& controller) {
  machine_.bus.set_controller(&controller);
}

Result<std::vector<std::byte>> SoftVm::capture_intc() {
  if (machine_.bus.controller() == nullptr) return std::vector<std::byte>{};
  return machine_.bus.controller()->capture();
}

Result<void> SoftVm::restore_intc(std::span<const std::byte> state) {
  if (machine_.bus.controller() == nullptr)
    return fail(ErrorKind::kState, "interrupt controller", "none is attached");
  return machine_.bus.controller()->restore(state);
}

uint64_t SoftVm::host_monotonic_ticks() { return base::monotonic_ns(); }

}  // namespace husk::soft
