// A soft vCPU's registers and state for the layers above.
#include <algorithm>

#include "backend/soft/soft_vcpu.h"
#include "base/clock.h"
#include "base/try.h"
#include "contract/x86/nested.h"
#include "contract/x86/state_codec.h"
#include "contract/x86/state_msrs.h"

namespace husk::soft {

using seam::CoreReg;

Result<void> SoftVcpu::finish_instruction() {
  if (!cpu_->device.waiting() && cpu_->complete_access() == interp::Stop::kDebug)
    debug_kept_ = true;
  if (!cpu_->device.waiting()) return {};
  return fail(ErrorKind::kState, "vCPU " + std::to_string(id_),
              "is within an instruction that waits for a device");
}

Result<SoftVcpu::SnapshotState> SoftVcpu::capture_snapshot() {
  HUSK_TRY(finish_instruction());
  // Events that wait in the signal word become part of the state; the rest is for attend().
  const uint32_t bits = signal_.take();
  take_events(bits);
  signal_.raise(bits & (apic::kSignalInterrupt | apic::kSignalExit));
  SnapshotState state = cpu_->capture();
  HUSK_TRY(contract::x86::require_no_nesting(state));
  for (const uint32_t index : {contract::x86::kMsrApicBase, contract::x86::kMsrTscDeadline}) {
    if (const auto value = apic_.read_msr(index)) state.msrs.push_back({index, *value});
  }
  state.msrs.push_back({contract::x86::kMsrTsc, tsc(cpu_->tsc_adjust)});
  state.tsc_khz = tsc_khz_;
  std::sort(state.msrs.begin(), state.msrs.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  contract::x86::settle_time(state, guest_ns());
  apic_.save(state.lapic);
  state.events.halted = halted_;
  state.events.waiting_for_sipi = waiting_for_sipi_;
  state.events.nmi_pending = nmi_pending_;
  return state;
}

Result<void> SoftVcpu::restore_snapshot(const SnapshotState& state) {
  HUSK_TRY(contract::x86::require_no_nesting(state));
  const bool has_lapic =
      std::any_of(state.lapic.begin(), state.lapic.end(), [](uint8_t byte) { return byte != 0; });
  if (has_lapic) {
    // The mode first: the page's layout of the ID depends on it.
    for (const auto& msr : state.msrs) {
      if (msr.index == apic::kApicBaseMsr) HUSK_TRY(apic_.restore_base(msr.value));
    }
    HUSK_TRY(apic_.load(state.lapic));
  }
  if (state.tsc_khz != 0) tsc_khz_ = state.tsc_khz;
  HUSK_TRY(cpu_->restore(state));
  in_flight_ = state.events.in_flight;
  halted_ = state.events.halted;
  waiting_for_sipi_ = state.events.waiting_for_sipi;
  nmi_pending_ = state.events.nmi_pending;
  shut_down_ = debug_kept_ = false;
  return {};
}

Result<void> SoftVcpu::write_snapshot_state(const SnapshotState& state, std::ostream& out) {
  return contract::x86::write_state(state, out);
}

Result<SoftVcpu::SnapshotState> SoftVcpu::read_snapshot_state(std::istream& in) {
  return contract::x86::read_state(in);
}

// capture_snapshot() has set the TSC to the guest's time.
seam::ClockRef SoftVcpu::capture_clock_ref(const SnapshotState& state, uint64_t host_now) {
  return {contract::x86::tsc_ns(state), host_now, base::realtime_ns()};
}

// All vCPUs are told the same, so that their TSCs agree; what the guest had added to one is in the
// time that was captured.
uint64_t SoftVcpu::restore_clock(const seam::ClockRef& ref, uint64_t host_now) {
  const uint64_t offset = ref.guest_ns - host_now;
  machine_.time_offset.store(offset, std::memory_order_relaxed);
  cpu_->tsc_adjust = 0;
  cpu_->write_kvmclock(cpu_->kvm_system_time);
  apic_.set_tsc(clock(cpu_->tsc_adjust));
  return offset;
}

Result<uint64_t> SoftVcpu::get_core(CoreReg reg) const {
  switch (reg.role) {
    case CoreReg::Role::kX:
      if (reg.index < 16) return cpu_->regs[reg.index];
      break;
    case CoreReg::Role::kPc:
      return cpu_->rip;
    case CoreReg::Role::kCpsr:
      return cpu_->rflags();
    default:
      break;
  }
  return fail(ErrorKind::kInvalidArgument, "core register", "x86-64 has no such register");
}

Result<void> SoftVcpu::set_core(CoreReg reg, uint64_t value) {
  switch (reg.role) {
    case CoreReg::Role::kX:
      if (reg.index >= 16) break;
      cpu_->regs[reg.index] = value;
      return {};
    case CoreReg::Role::kPc:
      if (value != cpu_->rip) cpu_->forget_debug_stop();
      cpu_->rip = value;
      return {};
    case CoreReg::Role::kCpsr:
      cpu_->set_rflags(value);
      cpu_->update_mode();
      return {};
    default:
      break;
  }
  return fail(ErrorKind::kInvalidArgument, "core register", "x86-64 has no such register");
}

Result<uint64_t> SoftVcpu::get_sys(seam::SysReg) const { return uint64_t{apic_.id()}; }

Result<void> SoftVcpu::set_sys(seam::SysReg, uint64_t) {
  return fail(ErrorKind::kUnsupported, "APIC ID", "is read-only on x86-64");
}

}  // namespace husk::soft
