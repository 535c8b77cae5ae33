#include "backend/kvm/aarch64/kvm_vm.h"

#include <fmt/core.h>

#include <algorithm>
#include <sstream>

#include "backend/kvm/aarch64/one_reg.h"
#include "backend/kvm/aarch64/smccc_filter.h"
#include "backend/kvm/common/calls.h"
#include "backend/kvm/common/irqfd.h"
#include "base/try.h"
#include "contract/aarch64/gic_codec.h"

namespace husk::kvm {

static_assert(seam::HypervisorVm<KvmVm>);
static_assert(seam::HasDoorbells<KvmVm>);
static_assert(seam::HasDebug<KvmVcpu>);
static_assert(seam::HasHypercalls<KvmVm>);
static_assert(seam::HasIrqfds<KvmVm>);

namespace {

constexpr Capability kNeeded[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    {KVM_CAP_ONE_REG, "KVM_CAP_ONE_REG"},
    {KVM_CAP_DEVICE_CTRL, "KVM_CAP_DEVICE_CTRL"},
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
    {KVM_CAP_ARM_PSCI_0_2, "KVM_CAP_ARM_PSCI_0_2"},
    {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
};

// As many redistributors as lie below the board's serial port.
constexpr int kMostVcpus = 64;

// The size of guest-physical addresses for KVM_CREATE_VM: 40 bits, which are 0, or what a smaller
// processor has (api.rst, 4.2).
unsigned long vm_type(const System& system) {
  constexpr int kUsual = 40;
  const int most = system.check(KVM_CAP_ARM_VM_IPA_SIZE);
  return most > 0 && most < kUsual ? static_cast<unsigned long>(most) : 0;
}

// Where KVM can tell of an access that it cannot explain, it shall: otherwise KVM_RUN fails.
void want_unexplained_accesses(const System& system, int vm) {
  if (system.check(KVM_CAP_ARM_NISV_TO_USER) <= 0) return;
  kvm_enable_cap enable{};
  enable.cap = KVM_CAP_ARM_NISV_TO_USER;
  (void)call(vm, HUSK_KVM_CALL(KVM_ENABLE_CAP), &enable);
}

}  // namespace

KvmVm::KvmVm(System system, base::Fd vm, Gic gic, uint32_t vcpus)
    : VmBase(std::move(system), std::move(vm)), gic_(std::move(gic)), vcpus_(vcpus) {}

Result<void> KvmVm::require(const System& system) { return system.require(kNeeded); }

uint32_t KvmVm::most_vcpus(const System& system) {
  return static_cast<uint32_t>(std::clamp(system.check(KVM_CAP_MAX_VCPUS), 1, kMostVcpus));
}

Result<void> KvmVm::can_show(CpuModel model) {
  if (model == CpuModel::kHost) return {};
  return fail(ErrorKind::kUnsupported, System::kDevice,
              fmt::format("cannot show a guest {}: that is no processor of aarch64", name(model)));
}

Result<std::unique_ptr<KvmVm>> KvmVm::create(uint32_t vcpus, CpuModel cpu_model) {
  HUSK_TRY(can_show(cpu_model));
  System system = HUSK_TRY(System::open());
  HUSK_TRY(require(system));
  if (vcpus == 0 || vcpus > most_vcpus(system))
    return fail(ErrorKind::kInvalidArgument, "vCPUs",
                fmt::format("must be 1 to {}", most_vcpus(system)));
  base::Fd fd = HUSK_TRY(system.create_vm(vm_type(system)));
  want_unexplained_accesses(system, fd.get());
  Gic gic = HUSK_TRY(Gic::create(fd.get()));
  return std::unique_ptr<KvmVm>(new KvmVm(std::move(system), std::move(fd), std::move(gic), vcpus));
}

// The host's own kind of processor, without what a state would have to carry besides: no SVE, no
// counters, no pointer authentication.
Result<void> KvmVm::initialize(int vcpu, uint32_t id) const {
  kvm_vcpu_init init{};
  HUSK_TRY(call(vm_fd(), HUSK_KVM_CALL(KVM_ARM_PREFERRED_TARGET), &init));
  init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
  if (id != 0) init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
  HUSK_TRY(call(vcpu, HUSK_KVM_CALL(KVM_ARM_VCPU_INIT), &init));
  return {};
}

Result<std::unique_ptr<KvmVcpu>> KvmVm::create_vcpu(uint32_t id) {
  if (id != mpidrs_.size() || id >= vcpus_)
    return fail(ErrorKind::kInvalidArgument, "vCPU " + std::to_string(id),
                "ids go from 0 in order, below " + std::to_string(vcpus_));
  base::Fd fd(HUSK_TRY(call(vm_fd(), HUSK_KVM_CALL(KVM_CREATE_VCPU), id)));
  HUSK_TRY(initialize(fd.get(), id));
  const uint64_t mpidr = HUSK_TRY(get_reg<uint64_t>(fd.get(), kMpidrEl1));
  RunArea area = HUSK_TRY(RunArea::create(std::move(fd), system().run_area_size()));
  auto vcpu = std::make_unique<KvmVcpu>(system(), id, std::move(area));
  mpidrs_.push_back(mpidr & contract::aarch64::kMpidrAffinity);
  if (mpidrs_.size() == vcpus_) HUSK_TRY(gic_.start());
  return vcpu;
}

// KVM's filter only grows.
Result<void> KvmVm::exit_on_hypercalls(bool on) {
  if (on == hypercalls_exit_) return {};
  if (!on) return fail(ErrorKind::kUnsupported, "hypercalls", "KVM cannot take them back");
  HUSK_TRY(forward_hypercalls(vm_fd()));
  hypercalls_exit_ = true;
  return {};
}

contract::IrqLine KvmVm::irq_line(uint32_t spi) {
  return {
      [](void* vm, uint32_t line, bool level) { static_cast<KvmVm*>(vm)->set_irq(line, level); },
      this, spi};
}

Result<std::vector<std::byte>> KvmVm::capture_intc() {
  std::ostringstream out;
  const auto state = HUSK_TRY(gic_.capture(mpidrs_));
  HUSK_TRY(contract::aarch64::write_gic_state(state, out));
  const std::string text = out.str();
  const auto bytes = std::as_bytes(std::span(text));
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

Result<void> KvmVm::restore_intc(std::span<const std::byte> state) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(state.data()), state.size()));
  const auto gic = HUSK_TRY(contract::aarch64::read_gic_state(in));
  return gic_.restore(gic, mpidrs_);
}

// KVM has the routes once the GIC has started (api.rst, KVM_IRQFD).
Result<void> KvmVm::register_irqfd(uint32_t spi, int eventfd, int resample) {
  if (spi >= kSpis)
    return fail(ErrorKind::kInvalidArgument, fmt::format("SPI {}", spi),
                fmt::format("the interrupt controller has {}", kSpis));
  return kvm::register_irqfd(system(), vm_fd(), spi, eventfd, resample);
}

Result<void> KvmVm::unregister_irqfd(uint32_t spi, int eventfd) {
  return kvm::unregister_irqfd(vm_fd(), spi, eventfd);
}

}  // namespace husk::kvm
