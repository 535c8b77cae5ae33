// A vCPU's clocks over a snapshot: kvmclock, the TSC and its rate, the deadline timer.
#include <fmt/core.h>

#include "backend/kvm/common/calls.h"
#include "backend/kvm/x86_64/kvm_msr.h"
#include "backend/kvm/x86_64/kvm_vcpu.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/try.h"
#include "contract/x86/state_msrs.h"

namespace husk::kvm {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

namespace {

// By the offset (Linux 5.16 and later, devices/vcpu.rst): a write to the MSR that nearly fits
// another vCPU's clock is taken for an attempt to synchronise with that.
bool move_tsc(int fd, uint64_t by) {
  uint64_t offset = 0;
  kvm_device_attr attribute{};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<uint64_t>(&offset);
  if (!call(fd, HUSK_KVM_CALL(KVM_GET_DEVICE_ATTR), &attribute)) return false;
  offset += by;
  return call(fd, HUSK_KVM_CALL(KVM_SET_DEVICE_ATTR), &attribute).has_value();
}

// From here on; a guest that reads its time by kvmclock would stand still for its uptime without.
void set_kvmclock(int vm, uint64_t ns) {
  kvm_clock_data clock{};
  clock.clock = ns;
  if (const auto set = call(vm, HUSK_KVM_CALL(KVM_SET_CLOCK), &clock); !set)
    base::log(base::LogLevel::kWarn, "the guest's clock stands still for a while: {}",
              set.error().message());
}

// Of an armed timer: KVM has reckoned with the TSC that there was when the deadline was set.
void rearm_deadline(int fd) {
  const uint64_t deadline = get_msr(fd, kMsrTscDeadline).value_or(0);
  if (deadline != 0) (void)set_msr(fd, {kMsrTscDeadline, deadline});
}

// KVM's own tolerance (its parameter tsc_tolerance_ppm).
bool as_fast(uint64_t khz, uint64_t other) {
  constexpr uint64_t kPpm = 250, kMillion = 1'000'000;
  const uint64_t apart = khz > other ? khz - other : other - khz;
  return apart * kMillion <= other * kPpm;
}

}  // namespace

// The clock of the VM that kvmclock shows its guest; it began a moment before the vCPUs' TSCs.
Result<uint64_t> KvmVcpu::kvmclock_ns() const {
  kvm_clock_data clock{};
  HUSK_TRY(call(home_.vm, HUSK_KVM_CALL(KVM_GET_CLOCK), &clock));
  return clock.clock;
}

// A processor without scaling counts as fast as it does. A guest that was not promised a TSC of one
// rate and has its time from kvmclock, which tells it the rate of every host, can live with that:
// the deadline of a timer comes early then, and the guest arms it once more. Slower ones KVM takes
// to where they should be at each entry, so that no deadline is late.
Result<void> KvmVcpu::adopt_tsc_rate(const SnapshotState& state) {
  const auto khz = static_cast<uint32_t>(HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_GET_TSC_KHZ))));
  if (state.tsc_khz == 0 || as_fast(state.tsc_khz, khz)) return {};
  const bool scales = home_.system->check(KVM_CAP_TSC_CONTROL) > 0;
  if (!scales && !lives_by_kvmclock(state))
    return fail(ErrorKind::kUnsupported, "the processor of this machine",
                fmt::format("counts time at {} kHz and cannot be told another rate; the guest was "
                            "shown {} kHz",
                            khz, state.tsc_khz));
  if (scales || state.tsc_khz > khz)
    HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_SET_TSC_KHZ), static_cast<unsigned long>(state.tsc_khz)));
  return {};
}

// capture_snapshot() has set the TSC to the guest's time.
seam::ClockRef KvmVcpu::capture_clock_ref(const SnapshotState& state, uint64_t host_now) {
  return {tsc_ns(state), host_now, base::realtime_ns()};
}

uint64_t KvmVcpu::restore_clock(const seam::ClockRef& ref, uint64_t host_now) {
  const auto khz = static_cast<uint64_t>(call(fd(), HUSK_KVM_CALL(KVM_GET_TSC_KHZ)).value_or(0));
  const uint64_t guest_ns = ref.guest_ns + (base::monotonic_ns() - host_now);
  set_kvmclock(home_.vm, guest_ns);
  const uint64_t tsc = tsc_ticks(guest_ns, khz);
  const uint64_t offset = tsc - get_msr(fd(), kMsrTsc).value_or(0);
  if (!move_tsc(fd(), offset)) {
    constexpr uint64_t kFarSeconds = 100;  // what is a second away is no attempt to synchronise
    (void)set_msr(fd(), {kMsrTsc, tsc + kFarSeconds * 1000 * khz});
    (void)set_msr(fd(), {kMsrTsc, tsc});
  }
  rearm_deadline(fd());
  return offset;
}

}  // namespace husk::kvm
