#include "backend/kvm/x86_64/guest_debug.h"

#include "base/try.h"

namespace husk::kvm {
namespace {

constexpr uint32_t kBpVector = 3;

// DR7 (Intel SDM vol. 3, 18.2.4): the point's enable bit, its kind and its length.
uint64_t control_bits(const DebugPoint& point, unsigned number) {
  using Kind = DebugPoint::Kind;
  const uint64_t kind = point.kind == Kind::kExecute ? 0 : point.kind == Kind::kWrite ? 1 : 3;
  uint64_t length = 0;
  if (kind != 0) length = point.length == 8 ? 2 : point.length - 1;
  return uint64_t{2} << number * 2 | (length << 2 | kind) << (16 + number * 4);
}

Result<void> require(uint32_t flags, uint32_t wanted, const char* what) {
  if ((flags & wanted) != 0) return {};
  return fail(ErrorKind::kUnsupported, what, "this KVM has none (KVM_CAP_SET_GUEST_DEBUG)");
}

}  // namespace

Result<kvm_guest_debug> guest_debug(const DebugOptions& options, uint32_t flags) {
  kvm_guest_debug debug{};
  if (!options.any()) return debug;
  debug.control = KVM_GUESTDBG_ENABLE;
  if (options.single_step) {
    HUSK_TRY(require(flags, KVM_GUESTDBG_SINGLESTEP, "single steps"));
    debug.control |= KVM_GUESTDBG_SINGLESTEP | (flags & KVM_GUESTDBG_BLOCKIRQ);
  }
  if (options.software_breakpoints) {
    HUSK_TRY(require(flags, KVM_GUESTDBG_USE_SW_BP, "software breakpoints"));
    debug.control |= KVM_GUESTDBG_USE_SW_BP;
  }
  if (options.points.empty()) return debug;
  HUSK_TRY(require(flags, KVM_GUESTDBG_USE_HW_BP, "debug points"));
  debug.control |= KVM_GUESTDBG_USE_HW_BP;
  debug.arch.debugreg[7] = 0x600;  // bit 10, which is always one, and GE
  for (unsigned number = 0; const DebugPoint& point : options.points) {
    debug.arch.debugreg[number] = point.addr;
    debug.arch.debugreg[7] |= control_bits(point, number);
    ++number;
  }
  return debug;
}

Result<kvm_guest_debug> guest_debug_past(DebugOptions options, uint32_t flags) {
  constexpr uint64_t kAnyEnabled = 3;
  options.single_step = true;
  options.software_breakpoints = false;
  kvm_guest_debug debug = HUSK_TRY(guest_debug(options, flags));
  for (unsigned number = 0; const DebugPoint& point : options.points) {
    if (point.kind == DebugPoint::Kind::kExecute)
      debug.arch.debugreg[7] &= ~(kAnyEnabled << number * 2);
    ++number;  // the others keep the numbers by which DR6 tells them
  }
  return debug;
}

DebugStop debug_stop(const DebugOptions& options, const kvm_debug_exit_arch& exit) {
  constexpr uint64_t kSingleStep = 1u << 14;  // of DR6
  if (exit.exception == kBpVector) return {DebugCause::kSoftwareBreakpoint, exit.pc};
  // An access of the instruction that was stepped over is the rarer news.
  for (unsigned number = 0; const DebugPoint& point : options.points) {
    const bool hit = (exit.dr6 >> number++ & 1) != 0;
    if (hit && point.kind != DebugPoint::Kind::kExecute)
      return {DebugCause::kWatchpoint, point.addr};
  }
  const bool breakpoint = (exit.dr6 & 15) != 0 && (exit.dr6 & kSingleStep) == 0;
  return {breakpoint ? DebugCause::kBreakpoint : DebugCause::kStep, exit.pc};
}

}  // namespace husk::kvm
