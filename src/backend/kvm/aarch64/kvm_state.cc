// KVM's registers and the canonical state, both ways (api.rst: KVM_SET_ONE_REG, KVM_GET_REG_LIST).

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "backend/kvm/aarch64/kvm_vcpu.h"
#include "backend/kvm/aarch64/one_reg.h"
#include "backend/kvm/common/calls.h"
#include "base/clock.h"
#include "base/try.h"
#include "contract/aarch64/counter.h"
#include "contract/aarch64/nested.h"
#include "contract/aarch64/state_codec.h"

namespace husk::kvm {

using namespace contract::aarch64;  // NOLINT(google-build-using-namespace): the names of this
                                    // subject
using seam::CoreReg;

namespace {

constexpr uint64_t kNanoseconds = 1'000'000'000;

// Calls `use(id, field)` for every register that has a field of the state, until one fails.
template <class State, class Use>
Result<void> visit_fields(State& state, Use&& use) {
  for (unsigned n = 0; n < state.x.size(); ++n) HUSK_TRY(use(x_reg_id(n), state.x[n]));
  HUSK_TRY(use(kSpId, state.sp));
  HUSK_TRY(use(kPcId, state.pc));
  HUSK_TRY(use(kPstateId, state.pstate));
  HUSK_TRY(use(kFpcrId, state.fpcr));
  HUSK_TRY(use(kFpsrId, state.fpsr));
  for (unsigned n = 0; n < state.v.size(); ++n) HUSK_TRY(use(v_reg_id(n), state.v[n]));
  return {};
}

bool has_field(uint64_t id) {
  static const std::vector<uint64_t> ids = [] {
    std::vector<uint64_t> found{kMpidrEl1};
    VcpuState state;
    (void)visit_fields(state, [&](uint64_t each, auto&) -> Result<void> {
      found.push_back(each);
      return {};
    });
    std::ranges::sort(found);
    return found;
  }();
  return std::ranges::binary_search(ids, id);
}

// The counters run on; restore_clock() sets them.
bool is_counter(uint64_t id) { return id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_PTIMER_CNT; }

Result<Power> get_power(int fd) {
  kvm_mp_state mp{};
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_MP_STATE), &mp));
  return mp.mp_state == KVM_MP_STATE_STOPPED ? Power::kOff : Power::kOn;
}

Result<void> set_power(int fd, Power power) {
  kvm_mp_state mp{};
  mp.mp_state = power == Power::kOff ? KVM_MP_STATE_STOPPED : KVM_MP_STATE_RUNNABLE;
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_MP_STATE), &mp));
  return {};
}

// A KVM without the call has no way to make one wait either.
PendingSError get_serror(int fd) {
  kvm_vcpu_events events{};
  if (!call(fd, HUSK_KVM_CALL(KVM_GET_VCPU_EVENTS), &events)) return {};
  if (events.exception.serror_pending == 0) return {};
  if (events.exception.serror_has_esr == 0) return {.pending = true};
  return {.pending = true,
          .has_syndrome = true,
          .syndrome = static_cast<uint32_t>(events.exception.serror_esr)};
}

// KVM can make an SError wait, and "it is not possible to cancel" it (api.rst,
// KVM_SET_VCPU_EVENTS).
Result<void> set_serror(int fd, const PendingSError& serror) {
  const PendingSError present = get_serror(fd);
  if (present == serror) return {};
  if (!serror.pending)
    return fail(ErrorKind::kState, "vCPU", "has an SError pending, which nothing takes back");
  kvm_vcpu_events events{};
  events.exception.serror_pending = 1;
  events.exception.serror_has_esr = serror.has_syndrome ? 1 : 0;
  events.exception.serror_esr = serror.has_syndrome ? serror.syndrome : 0;
  if (call(fd, HUSK_KVM_CALL(KVM_SET_VCPU_EVENTS), &events)) return {};
  return fail(ErrorKind::kUnsupported, "vCPU state",
              fmt::format("has an SError pending{}, which this host refuses",
                          serror.has_syndrome ? fmt::format(" of syndrome {:#x}", serror.syndrome)
                                              : std::string()));
}

// What a host describes of itself, such as ID registers and cache sizes, may not be written at all,
// or only with the value that it has.
Result<void> set_or_agree(int fd, const Register& reg) {
  const auto set = set_reg(fd, reg.id, reg.value);
  if (set) return {};
  std::vector<std::byte> present(reg.value.size());
  if (get_reg(fd, reg.id, present) && present == reg.value) return {};
  return fail(ErrorKind::kUnsupported, "vCPU state",
              fmt::format("has register {:#x} with a value that this host refuses", reg.id));
}

Result<void> restore_mpidr(int fd, uint64_t mpidr) {
  if (mpidr == 0) return {};
  if (HUSK_TRY(get_reg<uint64_t>(fd, kMpidrEl1)) == mpidr) return {};
  return set_reg(fd, kMpidrEl1, mpidr);
}

uint64_t counter_frequency() {
  uint64_t hertz = 0;
  asm("mrs %0, cntfrq_el0" : "=r"(hertz));
  return std::max<uint64_t>(hertz, 1);
}

uint64_t scale(uint64_t value, uint64_t numerator, uint64_t denominator) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(value) * numerator / denominator);
}

uint64_t core_id(CoreReg reg) {
  switch (reg.role) {
    case CoreReg::Role::kX:
      return reg.index < 31 ? x_reg_id(reg.index) : 0;
    case CoreReg::Role::kFp:
      return x_reg_id(29);
    case CoreReg::Role::kLr:
      return x_reg_id(30);
    case CoreReg::Role::kPc:
      return kPcId;
    case CoreReg::Role::kCpsr:
      return kPstateId;
    case CoreReg::Role::kFpsr:
      return kFpsrId;
    case CoreReg::Role::kFpcr:
      return kFpcrId;
  }
  return 0;
}

std::unexpected<Error> no_such_register() {
  return fail(ErrorKind::kInvalidArgument, "core register", "aarch64 has no such register");
}

}  // namespace

Result<KvmVcpu::SnapshotState> KvmVcpu::capture_snapshot() {
  HUSK_TRY(complete_access());
  VcpuState state;
  HUSK_TRY(visit_fields(state, [&](uint64_t id, auto& field) {
    return get_reg(fd(), id, std::as_writable_bytes(std::span(&field, 1)));
  }));
  HUSK_TRY(require_no_nesting(state));
  state.mpidr = HUSK_TRY(get_reg<uint64_t>(fd(), kMpidrEl1));
  state.power = HUSK_TRY(get_power(fd()));
  state.counter_hertz = counter_frequency();
  state.serror = get_serror(fd());
  for (const uint64_t id : HUSK_TRY(list_regs(fd()))) {
    if (has_field(id) || register_size(id) > kMaxRegisterSize) continue;
    Register reg{id, std::vector<std::byte>(register_size(id))};
    HUSK_TRY(get_reg(fd(), id, reg.value));
    state.registers.push_back(std::move(reg));
  }
  return state;
}

Result<void> KvmVcpu::restore_snapshot(const SnapshotState& state) {
  HUSK_TRY(require_no_nesting(state));
  // Whatever the last exit asked for belongs to another life.
  unanswered_ = false;
  HUSK_TRY(complete_access());
  if (get_reg<uint64_t>(fd(), kPcId) != state.pc) forget_stop();
  HUSK_TRY(check_frequency(state, counter_frequency()));
  HUSK_TRY(restore_mpidr(fd(), state.mpidr));
  HUSK_TRY(visit_fields(state, [&](uint64_t id, const auto& field) {
    return set_reg(fd(), id, std::as_bytes(std::span(&field, 1)));
  }));
  for (const Register& reg : state.registers) {
    if (!is_counter(reg.id)) HUSK_TRY(set_or_agree(fd(), reg));
  }
  HUSK_TRY(set_serror(fd(), state.serror));
  return set_power(fd(), state.power);
}

Result<void> KvmVcpu::write_snapshot_state(const SnapshotState& state, std::ostream& out) {
  return write_state(state, out);
}

Result<KvmVcpu::SnapshotState> KvmVcpu::read_snapshot_state(std::istream& in) {
  return read_state(in);
}

// The guest's monotonic clock is its virtual counter.
seam::ClockRef KvmVcpu::capture_clock_ref(const SnapshotState& state, uint64_t host_now) {
  uint64_t counter = 0;
  for (const Register& reg : state.registers) {
    if (reg.id == KVM_REG_ARM_TIMER_CNT && reg.value.size() == sizeof(counter))
      std::memcpy(&counter, reg.value.data(), sizeof(counter));
  }
  const uint64_t hertz = state.counter_hertz != 0 ? state.counter_hertz : counter_frequency();
  return {scale(counter, kNanoseconds, hertz), host_now, base::realtime_ns()};
}

// KVM keeps one offset for all vCPUs of a VM: setting it for one sets it for all (api.rst,
// KVM_REG_ARM_TIMER_CNT), which is harmless, for each sets the same moment.
uint64_t KvmVcpu::restore_clock(const seam::ClockRef& ref, uint64_t host_now) {
  const uint64_t elapsed = base::monotonic_ns() - host_now;
  const uint64_t counter = scale(ref.guest_ns + elapsed, counter_frequency(), kNanoseconds);
  const uint64_t before = get_reg<uint64_t>(fd(), KVM_REG_ARM_TIMER_CNT).value_or(0);
  (void)set_reg(fd(), KVM_REG_ARM_TIMER_CNT, counter);
  return counter - before;
}

Result<uint64_t> KvmVcpu::get_core(CoreReg reg) const {
  const uint64_t id = core_id(reg);
  if (id == 0) return no_such_register();
  if (register_size(id) == sizeof(uint32_t)) return uint64_t{HUSK_TRY(get_reg<uint32_t>(fd(), id))};
  return get_reg<uint64_t>(fd(), id);
}

Result<void> KvmVcpu::set_core(CoreReg reg, uint64_t value) {
  HUSK_TRY(complete_access());
  const uint64_t id = core_id(reg);
  if (id == 0) return no_such_register();
  if (id == kPcId && value != HUSK_TRY(get_core(reg))) forget_stop();
  if (register_size(id) == sizeof(uint64_t)) return set_reg(fd(), id, value);
  if (value >> 32 != 0)
    return fail(ErrorKind::kInvalidArgument, "core register", "takes no more than 32 bits");
  return set_reg(fd(), id, static_cast<uint32_t>(value));
}

Result<uint64_t> KvmVcpu::get_sys(seam::SysReg) const { return get_reg<uint64_t>(fd(), kMpidrEl1); }

Result<void> KvmVcpu::set_sys(seam::SysReg, uint64_t value) {
  return set_reg(fd(), kMpidrEl1, value);
}

}  // namespace husk::kvm
