// Stops for a debugger, and getting past them: by a step in which what stopped it is off.
#include "backend/kvm/aarch64/exception_entry.h"
#include "backend/kvm/aarch64/guest_debug.h"
#include "backend/kvm/aarch64/kvm_vcpu.h"
#include "backend/kvm/aarch64/one_reg.h"
#include "backend/kvm/common/calls.h"
#include "backend/kvm/common/system.h"
#include "base/log.h"
#include "base/try.h"
#include "contract/debug.h"

namespace husk::kvm {
namespace {

DebugLimits limits_of(const System& system) {
  return {system.check(KVM_CAP_SET_GUEST_DEBUG) > 0, system.check(KVM_CAP_GUEST_DEBUG_HW_BPS),
          system.check(KVM_CAP_GUEST_DEBUG_HW_WPS)};
}

}  // namespace

Result<void> KvmVcpu::apply_debug(const DebugOptions& options) {
  kvm_guest_debug debug = HUSK_TRY(guest_debug(options, limits_of(system_), passing_));
  HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_SET_GUEST_DEBUG), &debug));
  return {};
}

Result<void> KvmVcpu::set_debug(const DebugOptions& options) {
  HUSK_TRY(contract::check_debug(options));
  HUSK_TRY(apply_debug(options));
  debug_ = options;
  return {};
}

void KvmVcpu::set_passing(std::optional<DebugStop> stop) {
  passing_ = stop;
  if (const auto applied = apply_debug(debug_); !applied)
    base::log(base::LogLevel::kError, "vCPU {}: cannot go past a breakpoint: {}", id_,
              applied.error().message());
}

void KvmVcpu::forget_stop() {
  step_kept_ = false;
  stopped_at_.reset();
  if (passing_) set_passing({});
}

// nullopt: it was only the step past the last stop.
std::optional<seam::VcpuExit> KvmVcpu::stepped() {
  if (passing_) set_passing({});
  if (!debug_.single_step) return std::nullopt;
  const uint64_t pc = get_reg<uint64_t>(fd(), kPcId).value_or(0);
  return seam::VcpuExit{
      .kind = seam::VcpuExit::Kind::kDebug, .cause = DebugCause::kStep, .virt_addr = pc};
}

// KVM takes every BRK from a guest that is debugged at all. One that nobody asked for, or that was
// stopped at and is still there, is the guest's.
bool KvmVcpu::is_the_guests(const DebugStop& stop) const {
  if (stop.cause != DebugCause::kSoftwareBreakpoint) return false;
  return !debug_.software_breakpoints || (passing_ && passing_->cause == stop.cause);
}

std::optional<seam::VcpuExit> KvmVcpu::debug_exit() {
  const uint64_t pc = get_reg<uint64_t>(fd(), kPcId).value_or(0);
  const DebugStop stop = debug_stop(debug_, area_->debug.arch, pc);
  if (stop.cause == DebugCause::kStep) return stepped();
  if (is_the_guests(stop)) {
    if (const auto taken = take_synchronous_exception(fd(), area_->debug.arch.hsr); !taken)
      base::log(base::LogLevel::kError, "vCPU {}: the guest's own BRK is lost: {}", id_,
                taken.error().message());
    return stepped();
  }
  if (passing_) set_passing({});
  stopped_at_ = stop;
  return seam::VcpuExit{
      .kind = seam::VcpuExit::Kind::kDebug, .cause = stop.cause, .virt_addr = stop.addr};
}

}  // namespace husk::kvm
