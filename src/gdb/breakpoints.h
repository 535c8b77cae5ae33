// The places where a debugger wants the guest to stop, and guest memory as that debugger sees it:
// without the instructions that stop it.
//
// A software breakpoint is an instruction written over the guest's. Where nothing is mapped yet, as
// for a kernel at its first instruction, it becomes a hardware breakpoint, of which there are few.
// While the machine stands still.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "husk/error.h"

#include "gdb/target.h"

namespace husk::gdb {

class Breakpoints {
 public:
  explicit Breakpoints(Target& target) : target_(target) {}

  [[nodiscard]] Result<void> add_software(uint32_t vcpu, uint64_t address);
  [[nodiscard]] Result<void> add_hardware(uint64_t address);
  [[nodiscard]] Result<void> add_watch(DebugPoint::Kind kind, uint64_t address, uint64_t length);
  // What is not there is gone already.
  void remove_software(uint64_t address);
  void remove_hardware(uint64_t address);
  void remove_watch(DebugPoint::Kind kind, uint64_t address, uint64_t length);
  void remove_all();

  [[nodiscard]] const Points& points() const { return points_; }

  // As much as is mapped from `address` on; an error: nothing.
  [[nodiscard]] Result<Bytes> read(uint32_t vcpu, uint64_t address, uint64_t length);
  [[nodiscard]] Result<void> write(uint32_t vcpu, uint64_t address,
                                   std::span<const std::byte> bytes);

 private:
  struct Place {
    Gpa at;
    Bytes instead;  // of what was there
  };
  using Pieces = std::vector<DebugPoint>;
  [[nodiscard]] Result<void> try_points(Points wanted);
  [[nodiscard]] Result<void> add_pieces(const Pieces& pieces);
  void remove_pieces(const Pieces& pieces);
  void restore(const Place& place);
  // copy(offset, the byte that a breakpoint has replaced there), for those in [at, at + size).
  template <class Copy>
  void each_overlap(Gpa at, size_t size, Copy copy);

  Target& target_;
  Points points_;
  std::map<uint64_t, Place> places_;  // by linear address: points_.software
};

// A watch of any length as points, which have their limits: 1, 2, 4 or 8 bytes at a multiple of
// that. More than DebugOptions::kMostPoints: there are too many.
[[nodiscard]] std::vector<DebugPoint> watch_pieces(DebugPoint::Kind kind, uint64_t address,
                                                   uint64_t length);

}  // namespace husk::gdb
