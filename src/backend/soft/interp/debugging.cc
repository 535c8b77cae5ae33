// Stopping for a debugger: before an instruction, behind one, behind an access.
#include "backend/soft/interp/debugging.h"

#include "backend/soft/interp/cpu.h"
#include "backend/soft/interp/handlers.h"

namespace husk::soft::interp {
namespace {

// Stands before an instruction that may have a breakpoint: where the page is mapped elsewhere, it
// has none.
const Op* breakpoint(Cpu& cpu, const Op* o) {
  return cpu.stops_before(o, DebugCause::kBreakpoint) ? nullptr : o + 1;
}

}  // namespace

Handler breakpoint_handler() { return breakpoint; }

void Cpu::set_debug(const DebugOptions& options) {
  const bool watched = debugging_.watching();
  debugging_.set(options);
  forget_blocks();
  if (watched || debugging_.watching()) flush_tlb_all();
}

uint64_t Cpu::linear_ip(uint64_t ip) const {
  const uint64_t linear = (ip & ip_mask) + seg_base_of_code();
  return long_mode() ? linear : linear & 0xffffffffu;
}

void Cpu::stop_for_debugger(DebugCause cause, uint64_t addr) {
  stop = Stop::kDebug;
  debugging_.last = {cause, addr};
}

bool Cpu::stops_before(const Op* op, DebugCause cause) {
  const uint64_t linear = linear_ip(ip_of(op));
  if (device.replaying()) return false;  // it was executed as far as a device
  if (cause == DebugCause::kBreakpoint && !debugging_.breaks_at(linear)) return false;
  if (debugging_.take_pass(cause, linear)) return false;
  rip = ip_of(op) & ip_mask;
  debugging_.resume_at = linear;
  stop_for_debugger(cause, linear);
  return true;
}

// RF says that the instruction has been begun before: it faulted, or is a string's next iteration
// (Intel SDM vol. 3, 17.3.1.1).
void Cpu::begin_debugged() {
  const uint64_t linear = linear_ip(rip);
  const bool begun = (rflags_rest & kRf) != 0;
  const bool resumed = debugging_.resume_at == linear;
  debugging_.pass_nothing();
  if (begun || resumed) debugging_.pass(linear, begun);
  if (resumed) debugging_.resume_at = Debugging::kNowhere;
  debugging_.forget_access();
}

void Cpu::end_debugged(uint64_t began_at) {
  if (stop != Stop::kNone && stop != Stop::kHalt) return;
  const bool done = !pending_.active || pending_.vector == kDb;  // which is a trap
  const bool watched = done && debugging_.watched() != Debugging::kNowhere;
  // Of a repeated string instruction, somebody's attention has put off the next iterations.
  const bool put_off = rip == began_at && (rflags_rest & kRf) != 0;
  if (!watched && (!debugging_.stepping() || put_off)) return;
  if (pending_.active && !deliver_pending()) {
    if (stop == Stop::kNone) stop = Stop::kShutdown;
    return;
  }
  halted_before_stop = stop == Stop::kHalt;
  if (watched) {
    stop_for_debugger(DebugCause::kWatchpoint, debugging_.watched());
  } else {
    stop_for_debugger(DebugCause::kStep, linear_ip(rip));
  }
}

}  // namespace husk::soft::interp
