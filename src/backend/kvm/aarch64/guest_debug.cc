#include "backend/kvm/aarch64/guest_debug.h"

#include "base/try.h"

namespace husk::kvm {
namespace {

using Kind = DebugPoint::Kind;

// The exception's class in ESR_EL2 (DDI 0487, D19.2.37).
constexpr uint32_t kBreakpointClass = 0x30, kWatchpointClass = 0x34, kBrkClass = 0x3c;

// DBGBCR and DBGWCR (D19.3.2 and D19.3.11): on, at EL1 and EL0.
constexpr uint64_t kOn = 1, kBothLevels = 3 << 1;

Result<void> require(bool there, const char* what, const char* capability) {
  if (there) return {};
  return fail(ErrorKind::kUnsupported, what,
              std::string("this KVM or processor has not enough (") + capability + ")");
}

uint64_t breakpoint_control() { return kOn | kBothLevels | 0xf << 5; }

// Bytes are selected within a doubleword.
uint64_t watchpoint_control(const DebugPoint& point) {
  const uint64_t bytes = ((uint64_t{1} << point.length) - 1) << point.addr % 8;
  const uint64_t kind = point.kind == Kind::kWrite ? 2 : 3;
  return kOn | kBothLevels | kind << 3 | bytes << 5;
}

Result<void> add_points(const DebugOptions& options, const DebugLimits& limits,
                        const std::optional<DebugStop>& passing, kvm_guest_debug& debug) {
  int breakpoints = 0, watchpoints = 0;
  for (const DebugPoint& point : options.points) {
    if (point.kind == Kind::kExecute) {
      debug.arch.dbg_bcr[breakpoints] = passing ? 0 : breakpoint_control();
      debug.arch.dbg_bvr[breakpoints++] = point.addr;
    } else {
      // The access that is being passed may touch more than one.
      const bool off = passing && passing->cause == DebugCause::kWatchpoint;
      debug.arch.dbg_wcr[watchpoints] = off ? 0 : watchpoint_control(point);
      debug.arch.dbg_wvr[watchpoints++] = point.addr & ~uint64_t{7};
    }
  }
  HUSK_TRY(require(breakpoints <= limits.breakpoints, "breakpoints", "KVM_CAP_GUEST_DEBUG_HW_BPS"));
  return require(watchpoints <= limits.watchpoints, "watchpoints", "KVM_CAP_GUEST_DEBUG_HW_WPS");
}

// The processor may tell any address from the access's lowest to the point's highest (D2.10.7).
uint64_t nearest(const DebugOptions& options, uint64_t far) {
  uint64_t found = far, best = ~uint64_t{0};
  for (const DebugPoint& point : options.points) {
    if (point.kind == Kind::kExecute) continue;
    const uint64_t last = point.addr + point.length - 1;
    const uint64_t distance = far < point.addr ? point.addr - far : far > last ? far - last : 0;
    if (distance >= best) continue;
    best = distance;
    found = point.addr;
  }
  return found;
}

}  // namespace

Result<kvm_guest_debug> guest_debug(const DebugOptions& options, const DebugLimits& limits,
                                    const std::optional<DebugStop>& passing) {
  kvm_guest_debug debug{};
  if (!options.any()) return debug;
  HUSK_TRY(require(limits.any, "stops for a debugger", "KVM_CAP_SET_GUEST_DEBUG"));
  debug.control = KVM_GUESTDBG_ENABLE;
  if (options.single_step || passing) debug.control |= KVM_GUESTDBG_SINGLESTEP;
  if (options.software_breakpoints && !passing) debug.control |= KVM_GUESTDBG_USE_SW_BP;
  if (options.points.empty()) return debug;
  debug.control |= KVM_GUESTDBG_USE_HW;
  HUSK_TRY(add_points(options, limits, passing, debug));
  return debug;
}

DebugStop debug_stop(const DebugOptions& options, const kvm_debug_exit_arch& exit, uint64_t pc) {
  switch (exit.hsr >> 26) {
    case kBreakpointClass:
      return {DebugCause::kBreakpoint, pc};
    case kWatchpointClass:
      return {DebugCause::kWatchpoint, nearest(options, exit.far)};
    case kBrkClass:
      return {DebugCause::kSoftwareBreakpoint, pc};
    default:
      return {DebugCause::kStep, pc};
  }
}

}  // namespace husk::kvm
