// What a debugger asks of a vCPU, and why the vCPU stopped for it.
//
// An address is linear: what the guest's instructions use, before paging. The guest's own debug
// registers and single steps are not touched: they are the guest's, and this is beside them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace husk {

struct DebugPoint {
  enum class Kind : uint8_t {
    kExecute,  // before the instruction that starts at `addr`
    kWrite,    // a write to one of the bytes
    kAccess,   // a read or a write of one of them
  };
  Kind kind = Kind::kExecute;
  uint8_t length = 1;  // bytes: 1, 2, 4 or 8; kExecute does not look at it
  uint64_t addr = 0;   // a multiple of `length`

  bool operator==(const DebugPoint&) const = default;
};

struct DebugOptions {
  static constexpr size_t kMostPoints = 4;

  // Out after every instruction. Interrupts wait meanwhile, but for one that ends a HLT. Of a
  // repeated string instruction an iteration may be a step. An instruction that faults is a step
  // where its handler begins, or, on KVM, only when the handler has come back and it is done.
  bool single_step = false;
  // Out before INT3 (0xcc) or BRK, whoever put it there. If it is still there at the next step, the
  // guest takes it as its own.
  bool software_breakpoints = false;
  std::vector<DebugPoint> points{};  // no more than kMostPoints

  [[nodiscard]] bool any() const { return single_step || software_breakpoints || !points.empty(); }
  bool operator==(const DebugOptions&) const = default;
};

enum class DebugCause : uint8_t {
  kStep,
  kBreakpoint,  // a point of kind kExecute: the instruction has not been executed
  // A point of another kind. The access is done on x86-64, and yet to be done on aarch64; in either
  // case the guest goes on past it.
  kWatchpoint,
  kSoftwareBreakpoint,  // the instruction has not been executed
};

struct DebugStop {
  DebugCause cause = DebugCause::kStep;
  uint64_t addr = 0;  // kWatchpoint: the point's; else the next instruction's

  bool operator==(const DebugStop&) const = default;
};

}  // namespace husk
