// Stops for a debugger, and getting past them.
#include <atomic>
#include <cstring>

#include "backend/kvm/common/calls.h"
#include "backend/kvm/x86_64/guest_debug.h"
#include "backend/kvm/x86_64/kvm_vcpu.h"
#include "base/log.h"
#include "base/try.h"
#include "contract/debug.h"

namespace husk::kvm {
namespace {

constexpr uint64_t kRf = 1u << 16;  // RFLAGS: no breakpoint at this instruction

// The KVM_GUESTDBG_ bits there are. A KVM before Linux 5.13 does not list them.
uint32_t debug_flags(const System& system) {
  if (system.check(KVM_CAP_SET_GUEST_DEBUG) <= 0) return 0;
  const int listed = system.check(KVM_CAP_SET_GUEST_DEBUG2);
  return listed > 0 ? static_cast<uint32_t>(listed)
                    : KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP;
}

bool same(const kvm_regs& a, const kvm_regs& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

}  // namespace

Result<void> KvmVcpu::apply_debug(const kvm_guest_debug& debug) const {
  kvm_guest_debug copy = debug;
  HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_SET_GUEST_DEBUG), &copy));
  return {};
}

Result<void> KvmVcpu::set_debug(const DebugOptions& options) {
  HUSK_TRY(contract::check_debug(options));
  const uint32_t flags = debug_flags(*home_.system);
  auto debug = passing_ ? guest_debug_past(options, flags) : guest_debug(options, flags);
  if (!debug) return std::unexpected(std::move(debug.error()));
  HUSK_TRY(apply_debug(*debug));
  debug_ = options;
  return {};
}

std::optional<seam::VcpuExit> KvmVcpu::debug_exit() {
  const DebugStop stop = debug_stop(debug_, area_->debug.arch);
  if (stop.cause == DebugCause::kStep) return stepped();
  if (passing_) end_passing();
  if (stop.cause != DebugCause::kWatchpoint) stopped_at_ = stop;
  // Where KVM executes guests itself, it does not look at the flag.
  kvm_regs regs{};
  if (const auto before = std::exchange(resumed_with_, std::nullopt);
      before && call(fd(), HUSK_KVM_CALL(KVM_GET_REGS), &regs)) {
    regs.rflags |= kRf;
    if (same(regs, *before)) {
      resume_flag_works_ = false;
      return std::nullopt;
    }
  }
  return seam::VcpuExit{
      .kind = seam::VcpuExit::Kind::kDebug, .cause = stop.cause, .virt_addr = stop.addr};
}

std::optional<seam::VcpuExit> KvmVcpu::stepped() {
  resumed_with_.reset();
  if (passing_) end_passing();
  if (!debug_.single_step) return std::nullopt;
  kvm_regs regs{};
  kvm_sregs sregs{};
  (void)call(fd(), HUSK_KVM_CALL(KVM_GET_REGS), &regs);
  (void)call(fd(), HUSK_KVM_CALL(KVM_GET_SREGS), &sregs);
  const uint64_t base = sregs.cs.l != 0 ? 0 : sregs.cs.base;
  return seam::VcpuExit{.kind = seam::VcpuExit::Kind::kDebug,
                        .cause = DebugCause::kStep,
                        .virt_addr = base + regs.rip};
}

// Also before every step: KVM forgets it when the program counter moves by anything but that step,
// such as an access that it emulates.
void KvmVcpu::arm() {
  const uint32_t flags = debug_flags(*home_.system);
  const auto applied =
      apply_debug(*(passing_ ? guest_debug_past(debug_, flags) : guest_debug(debug_, flags)));
  if (!applied) base::log(base::LogLevel::kError, "vCPU {}: {}", id_, applied.error().message());
}

// Whether INT3 is still where it was.
bool KvmVcpu::has_int3(uint64_t linear) const {
  constexpr std::byte kInt3{0xcc};
  kvm_translation where{};
  where.linear_address = linear;
  if (!call(fd(), HUSK_KVM_CALL(KVM_TRANSLATE), &where) || where.valid == 0) return false;
  std::byte* byte = home_.memory(where.physical_address);
  return byte != nullptr && std::atomic_ref(*byte).load(std::memory_order_relaxed) == kInt3;
}

void KvmVcpu::end_passing() {
  passing_ = false;
  arm();
}

// By RFLAGS.RF (Intel SDM vol. 3, 18.3.1.1), which nobody but the processor sees; else by a step.
Result<void> KvmVcpu::go_past_breakpoint() {
  if (!resume_flag_works_) {
    passing_ = true;  // step() arms it
    return {};
  }
  kvm_regs regs{};
  HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_GET_REGS), &regs));
  regs.rflags |= kRf;
  HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_SET_REGS), &regs));
  resumed_with_ = regs;
  return {};
}

// The instruction that the vCPU was stopped before is executed now. An INT3 that nobody has
// replaced is the guest's own: KVM gives the guest the exception that it has kept from it.
void KvmVcpu::go_past_stop() {
  const DebugStop stop = *std::exchange(stopped_at_, std::nullopt);
  Result<void> done;
  if (stop.cause == DebugCause::kBreakpoint) {
    done = go_past_breakpoint();
  } else if (has_int3(stop.addr)) {
    kvm_guest_debug debug = *guest_debug(debug_, debug_flags(*home_.system));
    debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_BP;
    done = apply_debug(debug);
  }
  if (!done)
    base::log(base::LogLevel::kError, "vCPU {}: cannot go past a breakpoint: {}", id_,
              done.error().message());
}

}  // namespace husk::kvm
