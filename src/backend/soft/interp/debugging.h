// What a debugger has asked of one CPU, and what stopped it last. Beside the guest's own debug
// registers, of which it knows nothing.
//
// Breakpoints are ops of the blocks that hold them, so code without one runs as ever. A watched
// page is in no TLB: accesses to it take the slow path, which looks here.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "husk/debug.h"

#include "contract/address.h"

namespace husk::soft::interp {

class Debugging {
 public:
  static constexpr uint64_t kNowhere = ~uint64_t{0};

  void set(const DebugOptions& options) {
    options_ = options;
    on_ = options.any();
    const auto watches = [](const DebugPoint& p) { return p.kind != DebugPoint::Kind::kExecute; };
    watching_ = std::ranges::any_of(options.points, watches);
  }
  [[nodiscard]] bool any() const { return on_; }
  [[nodiscard]] bool stepping() const { return options_.single_step; }
  [[nodiscard]] bool software() const { return options_.software_breakpoints; }
  [[nodiscard]] bool watching() const { return watching_; }

  // Whether an instruction that starts at this offset into some page may have a breakpoint.
  [[nodiscard]] bool may_break_at(uint64_t page_offset) const {
    return std::ranges::any_of(options_.points, [&](const DebugPoint& p) {
      return p.kind == DebugPoint::Kind::kExecute && p.addr % kPageSize == page_offset;
    });
  }
  [[nodiscard]] bool breaks_at(uint64_t linear) const {
    return std::ranges::any_of(options_.points, [&](const DebugPoint& p) {
      return p.kind == DebugPoint::Kind::kExecute && p.addr == linear;
    });
  }
  [[nodiscard]] bool watches_page_of(uint64_t linear) const {
    return std::ranges::any_of(options_.points, [&](const DebugPoint& p) {
      return p.kind != DebugPoint::Kind::kExecute && (p.addr & kPageMask) == (linear & kPageMask);
    });
  }
  // Remembers a point that the access touches.
  void note_access(uint64_t linear, uint64_t size, bool write) {
    for (const DebugPoint& p : options_.points) {
      const bool kind =
          p.kind == DebugPoint::Kind::kAccess || (write && p.kind == DebugPoint::Kind::kWrite);
      if (kind && (p.addr - linear < size || linear - p.addr < p.length)) watched_ = p.addr;
    }
  }

  // Where the last stop was before an instruction, which is to be executed next time.
  uint64_t resume_at = kNowhere;
  // The instruction at `linear`, which is about to begin, is not to be stopped at, once: after the
  // last stop there, or after all (it was begun before).
  void pass(uint64_t linear, bool all) {
    const bool both = all || last.cause == DebugCause::kSoftwareBreakpoint;
    passing_ = {linear, both ? linear : kNowhere};
  }
  void pass_nothing() { passing_.fill(kNowhere); }
  // Whether a stop of that kind is to be left out; it is, once.
  bool take_pass(DebugCause cause, uint64_t linear) {
    uint64_t& passing = passing_[cause == DebugCause::kBreakpoint ? 0 : 1];
    if (passing != linear) return false;
    passing = kNowhere;
    return true;
  }
  // The point that the present instruction has touched.
  void forget_access() { watched_ = kNowhere; }
  [[nodiscard]] uint64_t watched() const { return watched_; }

  DebugStop last;  // why the CPU stopped

 private:
  DebugOptions options_;
  bool on_ = false, watching_ = false;
  std::array<uint64_t, 2> passing_{kNowhere, kNowhere};
  uint64_t watched_ = kNowhere;
};

}  // namespace husk::soft::interp
