// The way into the guest and out of it. Nothing here allocates or locks between an exit and the
// next entry.
#include "backend/kvm/aarch64/kvm_vcpu.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "backend/kvm/aarch64/one_reg.h"
#include "backend/kvm/common/mmio.h"
#include "base/log.h"

namespace husk::kvm {

using seam::VcpuExit;

VcpuExit KvmVcpu::step() {
  for (;;) {
    // One that nobody has answered is asked again: KVM has no place for its result.
    if (unanswered_ && area_->exit_reason == KVM_EXIT_HYPERCALL) return hypercall();
    // KVM would forget that the step is over, if it had to leave before it came to the guest.
    if (access_open_ && stepping()) (void)complete_access();
    if (std::exchange(step_kept_, false)) {
      if (const auto exit = stepped()) return *exit;
    }
    if (stopped_at_) set_passing(std::exchange(stopped_at_, std::nullopt));
    const bool exited = area_.enter();
    access_open_ = unanswered_ = false;
    if (!exited) {
      if (errno == EINTR || errno == EAGAIN) return {.kind = VcpuExit::Kind::kCanceled};
      return failed();
    }
    if (const auto exit = take_exit()) return *exit;
  }
}

// KVM_RUN's own errors: ENOSYS is an access to what is no RAM by an instruction that the processor
// does not describe (api.rst, KVM_CAP_ARM_NISV_TO_USER).
VcpuExit KvmVcpu::failed() const {
  const int error = errno;
  base::log(error == ENOSYS ? base::LogLevel::kDebug : base::LogLevel::kError,
            "vCPU {}: KVM_RUN failed: {}", id_, std::strerror(error));
  return {.kind = VcpuExit::Kind::kUnknown, .raw = static_cast<uint32_t>(error)};
}

std::optional<VcpuExit> KvmVcpu::take_exit() {
  const kvm_run& run = *area_;
  switch (run.exit_reason) {
    case KVM_EXIT_MMIO:
      access_open_ = true;
      unanswered_ = run.mmio.is_write == 0;
      return mmio_exit(run);
    case KVM_EXIT_SYSTEM_EVENT:
      return system_event();
    case KVM_EXIT_INTR:
      return VcpuExit{.kind = VcpuExit::Kind::kCanceled};
    case KVM_EXIT_HYPERCALL:
      return hypercall();
    case KVM_EXIT_DEBUG:
      return debug_exit();
    case KVM_EXIT_ARM_NISV:
      base::log(
          base::LogLevel::kDebug,
          "vCPU {}: an access to {:#x}, where no RAM is, by an instruction that the processor "
          "does not describe (syndrome {:#x})",
          id_, uint64_t{run.arm_nisv.fault_ipa}, uint64_t{run.arm_nisv.esr_iss});
      break;
    case KVM_EXIT_FAIL_ENTRY:
      base::log(base::LogLevel::kError, "vCPU {}: the processor refuses its state ({:#x})", id_,
                uint64_t{run.fail_entry.hardware_entry_failure_reason});
      break;
    default:
      base::log(base::LogLevel::kDebug, "vCPU {}: KVM's exit {}", id_, uint32_t{run.exit_reason});
      break;
  }
  return VcpuExit{.kind = VcpuExit::Kind::kUnknown, .raw = run.exit_reason};
}

// PSCI's SYSTEM_OFF and SYSTEM_RESET, which KVM answers for the whole VM.
VcpuExit KvmVcpu::system_event() const {
  switch (area_->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
      return {.kind = VcpuExit::Kind::kPowerOff};
    case KVM_SYSTEM_EVENT_RESET:
      return {.kind = VcpuExit::Kind::kReset};
    default:
      base::log(base::LogLevel::kDebug, "vCPU {}: system event {}", id_,
                uint32_t{area_->system_event.type});
      return {.kind = VcpuExit::Kind::kUnknown, .raw = KVM_EXIT_SYSTEM_EVENT};
  }
}

// The program counter is behind the call already (api.rst, KVM_EXIT_HYPERCALL).
VcpuExit KvmVcpu::hypercall() {
  unanswered_ = true;
  return {.kind = VcpuExit::Kind::kHypercall, .data = area_->hypercall.nr};
}

void KvmVcpu::set_read_data(uint64_t value) {
  unanswered_ = false;
  if (area_->exit_reason == KVM_EXIT_MMIO) answer_mmio(*area_, value);
  if (area_->exit_reason == KVM_EXIT_HYPERCALL) (void)set_reg(fd(), x_reg_id(0), value);
}

// The state between a device's answer and the instruction's end is KVM's own: it is gone through
// before anybody looks at registers. Another exit cannot come of it, for no instruction that KVM
// explains has two accesses.
Result<void> KvmVcpu::complete_access() {
  if (unanswered_)
    return fail(ErrorKind::kState, "vCPU " + std::to_string(id_),
                "is within an instruction that waits for a device");
  if (access_open_) {
    (void)area_.complete();
    step_kept_ = stepping();
  }
  access_open_ = false;
  return {};
}

}  // namespace husk::kvm
