// Descriptors: from eight bytes in a table to the hidden part of a segment register.
#pragma once

#include "backend/soft/interp/cpu.h"

namespace husk::soft::interp {

// Is it one of the addresses that 48 bits and their sign reach?
[[nodiscard]] constexpr bool canonical(uint64_t linear) {
  return static_cast<int64_t>(linear << 16) >> 16 == static_cast<int64_t>(linear);
}

[[nodiscard]] Segment unpack_descriptor(uint16_t selector, uint64_t descriptor);

// Do [offset, offset + size) lie within the segment's limit?
[[nodiscard]] bool within_limit(const Segment& segment, uint64_t offset, uint32_t size);

// Is it one that SS can hold at level `cpl`: writable data of that very level?
[[nodiscard]] bool stack_segment_allowed(const Segment& segment, uint16_t selector, uint8_t cpl);

// The descriptor that `selector` names and its linear address. False: raised, with `vector` and the
// selector (and `external`, the EXT bit) when the table has no such entry.
bool read_descriptor(Cpu& cpu, const Op* op, uint16_t selector, uint8_t vector,
                     uint64_t& descriptor, uint64_t& address, uint32_t external = 0);

// Sets the accessed bit of a code or data descriptor, in memory too.
bool mark_accessed(Cpu& cpu, const Op* op, uint64_t address, uint64_t& descriptor);

// System descriptor types (Intel SDM vol. 3, table 3-2).
constexpr uint8_t kTypeTss16 = 1, kTypeLdt = 2, kTypeTss16Busy = 3, kTypeCallGate16 = 4,
                  kTypeTaskGate = 5, kTypeInterruptGate16 = 6, kTypeTrapGate16 = 7, kTypeTss = 9,
                  kTypeTssBusy = 11, kTypeCallGate = 12, kTypeInterruptGate = 14,
                  kTypeTrapGate = 15;

}  // namespace husk::soft::interp
