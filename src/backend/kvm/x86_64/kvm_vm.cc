#include "backend/kvm/x86_64/kvm_vm.h"

#include <fmt/core.h>
#include <linux/kvm_para.h>

#include <algorithm>

#include "backend/kvm/common/calls.h"
#include "backend/kvm/common/irqfd.h"
#include "backend/kvm/x86_64/cpuid.h"
#include "base/try.h"
#include "contract/x86/cpu_model.h"
#include "contract/x86/irqchip_codec.h"

namespace husk::kvm {

static_assert(seam::HypervisorVm<KvmVm>);
static_assert(seam::HasDoorbells<KvmVm>);
static_assert(seam::HasDebug<KvmVcpu>);
static_assert(seam::HasHypercalls<KvmVm>);
static_assert(seam::HasIrqfds<KvmVm>);
static_assert(seam::HasIrqchipChoice<KvmVm>);

namespace {

constexpr Capability kNeeded[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    {KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP"},
    {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
    {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
    {KVM_CAP_XCRS, "KVM_CAP_XCRS"},
    {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
    {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
    {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    {KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK"},
    {KVM_CAP_GET_TSC_KHZ, "KVM_CAP_GET_TSC_KHZ"},
    {KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER"},
};

// Pages that VMX keeps for real mode: below the firmware's place, where no RAM is (api.rst,
// KVM_SET_TSS_ADDR).
constexpr unsigned long kTssAddress = 0xfffbd000, kIdentityMap = 0xfffbc000;

}  // namespace

KvmVm::KvmVm(System system, base::Fd vm, uint32_t vcpus)
    : VmBase(std::move(system), std::move(vm)), vcpus_(vcpus), split_irqchip_(vm_fd()) {}

Result<void> KvmVm::require(const System& system) { return system.require(kNeeded); }

Result<void> KvmVm::can_show(CpuModel model) {
  const System system = HUSK_TRY(System::open());
  const auto supported = HUSK_TRY(supported_cpuid(system));
  return contract::x86::require_model(supported, model, System::kDevice);
}

// xAPIC ids end at 254; 255 is all of them.
uint32_t KvmVm::most_vcpus(const System& system) {
  return static_cast<uint32_t>(std::clamp(system.check(KVM_CAP_MAX_VCPUS), 1, 254));
}

Result<std::unique_ptr<KvmVm>> KvmVm::create(uint32_t vcpus, const Options& options) {
  System system = HUSK_TRY(System::open());
  HUSK_TRY(require(system));
  if (vcpus == 0 || vcpus > most_vcpus(system))
    return fail(ErrorKind::kInvalidArgument, "vCPUs",
                fmt::format("must be 1 to {}", most_vcpus(system)));
  base::Fd fd = HUSK_TRY(system.create_vm());
  std::unique_ptr<KvmVm> vm(new KvmVm(std::move(system), std::move(fd), vcpus));
  HUSK_TRY(vm->set_up(options));
  return vm;
}

Result<void> KvmVm::set_up(const Options& options) {
  if (options.dirty_ring_entries != 0) {
    kvm_enable_cap ring{};
    ring.cap = KVM_CAP_DIRTY_LOG_RING;
    ring.args[0] = options.dirty_ring_entries * sizeof(kvm_dirty_gfn);
    HUSK_TRY(call(vm_fd(), HUSK_KVM_CALL(KVM_ENABLE_CAP), &ring));
    ring_entries_ = options.dirty_ring_entries;
  }
  const auto supported = HUSK_TRY(supported_cpuid(system()));
  HUSK_TRY(contract::x86::require_model(supported, options.cpu_model, System::kDevice));
  cpu_model_ = options.cpu_model;
  cpuid_ = contract::x86::shown_cpuid(supported, cpu_model_);
  xsave_size_ = static_cast<size_t>(std::max(system().check(KVM_CAP_XSAVE2), 0));
  HUSK_TRY(call(vm_fd(), HUSK_KVM_CALL(KVM_SET_TSS_ADDR), kTssAddress));
  unsigned long long identity = kIdentityMap;
  HUSK_TRY(call(vm_fd(), HUSK_KVM_CALL(KVM_SET_IDENTITY_MAP_ADDR), &identity));
  return set_up_irqchip(options.irqchip);
}

Result<void> KvmVm::set_up_irqchip(seam::Irqchip irqchip) {
  if (irqchip == seam::Irqchip::kKernel) {
    kernel_irqchip_ = HUSK_TRY(KernelIrqchip::create(system(), vm_fd()));
    return {};
  }
  kvm_enable_cap split{};
  split.cap = KVM_CAP_SPLIT_IRQCHIP;
  split.args[0] = SplitIrqchip::kPins;
  HUSK_TRY(call(vm_fd(), HUSK_KVM_CALL(KVM_ENABLE_CAP), &split));
  return {};
}

Result<std::unique_ptr<KvmVcpu>> KvmVm::create_vcpu(uint32_t id) {
  if (id != created_ || id >= vcpus_)
    return fail(ErrorKind::kInvalidArgument, "vCPU " + std::to_string(id),
                "ids go from 0 in order, below " + std::to_string(vcpus_));
  base::Fd fd(HUSK_TRY(call(vm_fd(), HUSK_KVM_CALL(KVM_CREATE_VCPU), id)));
  auto cpuid = HUSK_TRY(ShownCpuid::show(fd.get(), cpu_model_, guest_cpuid(cpuid_, id, vcpus_)));
  RunArea area = HUSK_TRY(RunArea::create(std::move(fd), system().run_area_size()));
  if (ring_entries_ != 0) {
    auto ring = HUSK_TRY(DirtyRing::create(area.fd(), ring_entries_));
    const std::lock_guard lock(ring_mutex_);
    rings_.push_back(std::move(ring));
  }
  KvmVcpu::Home home;
  if (ring_entries_ != 0) home.harvest = [this] { return harvest(); };
  home.system = &system();
  home.vm = vm_fd();
  home.memory = [this](uint64_t gpa) { return slots().find(Gpa{gpa}); };
  home.irqchip = kernel_irqchip_ ? nullptr : &split_irqchip_;
  home.xsave_size = xsave_size_;
  auto vcpu = std::make_unique<KvmVcpu>(home, id, std::move(area), std::move(cpuid));
  if (id == 0)
    split_irqchip_.set_kick(
        [handle = vcpu->exit_token()] { KvmVcpu::Handle::force_exit({&handle, 1}); });
  ++created_;
  return vcpu;
}

// All that KVM lets out (api.rst, KVM_CAP_EXIT_HYPERCALL).
Result<void> KvmVm::exit_on_hypercalls(bool on) {
  constexpr uint32_t kMapGpaRange = 1u << KVM_HC_MAP_GPA_RANGE;
  const int offered = system().check(KVM_CAP_EXIT_HYPERCALL);
  if (offered <= 0 || (static_cast<uint32_t>(offered) & kMapGpaRange) == 0)
    return fail(ErrorKind::kUnsupported, "hypercalls",
                "this KVM answers all of them itself (no KVM_CAP_EXIT_HYPERCALL)");
  kvm_enable_cap enable{};
  enable.cap = KVM_CAP_EXIT_HYPERCALL;
  enable.args[0] = on ? kMapGpaRange : 0;
  HUSK_TRY(call(vm_fd(), HUSK_KVM_CALL(KVM_ENABLE_CAP), &enable));
  return {};
}

void KvmVm::set_irq(uint32_t gsi, bool level) {
  if (kernel_irqchip_) return kernel_irqchip_->set_line(gsi, level);
  if (split_irqchip_.controller() != nullptr) split_irqchip_.controller()->set_line(gsi, level);
}

contract::IrqLine KvmVm::irq_line(uint32_t gsi) {
  return {
      [](void* vm, uint32_t line, bool level) { static_cast<KvmVm*>(vm)->set_irq(line, level); },
      this, gsi};
}

void KvmVm::attach_controller(contract::InterruptController& controller) {
  split_irqchip_.set_controller(&controller);
}

Result<std::vector<std::byte>> KvmVm::capture_intc() {
  if (kernel_irqchip_)
    return contract::x86::write_irqchip_state(HUSK_TRY(kernel_irqchip_->capture()));
  if (split_irqchip_.controller() == nullptr) return std::vector<std::byte>{};
  return split_irqchip_.controller()->capture();
}

Result<void> KvmVm::restore_intc(std::span<const std::byte> state) {
  if (kernel_irqchip_)
    return kernel_irqchip_->restore(HUSK_TRY(contract::x86::read_irqchip_state(state)));
  if (split_irqchip_.controller() == nullptr)
    return fail(ErrorKind::kState, "interrupt controller", "none is attached");
  return split_irqchip_.controller()->restore(state);
}

Result<void> KvmVm::register_irqfd(uint32_t gsi, int eventfd, int resample) {
  if (!kernel_irqchip_)
    return fail(ErrorKind::kUnsupported, "irqfd",
                "the board keeps the interrupt controllers itself (split irqchip), so that KVM "
                "knows no interrupts by number");
  if (!KernelIrqchip::has_line(gsi))
    return fail(ErrorKind::kInvalidArgument, fmt::format("GSI {}", gsi),
                "is connected to no interrupt controller");
  return kvm::register_irqfd(system(), vm_fd(), gsi, eventfd, resample);
}

Result<void> KvmVm::unregister_irqfd(uint32_t gsi, int eventfd) {
  if (!kernel_irqchip_) return {};
  return kvm::unregister_irqfd(vm_fd(), gsi, eventfd);
}

// Entries are told before KVM may use them again, and may be told twice, never lost.
Result<void> KvmVm::harvest() {
  if (attached() == nullptr) return {};
  const std::lock_guard lock(ring_mutex_);
  uint32_t found = 0;
  for (DirtyRing& ring : rings_) {
    found += ring.harvest([this](uint32_t slot, uint64_t page) {
      slots().mark_entry(slot, page,
                         [this](Gpa gpa, uint64_t length) { attached()->mark_dirty(gpa, length); });
    });
  }
  if (found != 0) HUSK_TRY(call(vm_fd(), HUSK_KVM_CALL(KVM_RESET_DIRTY_RINGS)));
  return {};
}

Result<void> KvmVm::report_writes(memory::GuestMemory& memory) {
  if (ring_entries_ != 0) return harvest();
  return VmBase::report_writes(memory);
}

}  // namespace husk::kvm
