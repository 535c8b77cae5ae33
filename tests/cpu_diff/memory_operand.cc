// Memory operands: where they should point, and how registers get them there.
#include "cpu_diff/case_builder.h"
#include "cpu_diff/values.h"

namespace husk::cpu_diff {
namespace {

constexpr uint8_t kRsp = 4;

uint64_t outside(Rng& rng) {
  switch (rng.below(4)) {
    case 0:
      return 0x0000800000001000 + (rng.next() & 0xffff);  // just not canonical
    case 1:
      return rng.next() >> 1 | uint64_t{1} << 62;  // not at all
    case 2:
      return 0xffff800000000000 + (rng.next() & 0xffffff);  // the kernel's half
    default:
      return rng.next() & 0xfff;  // page 0
  }
}

int32_t small_displacement(Rng& rng) {
  const uint64_t random = rng.next();
  switch (rng.below(4)) {
    case 0:
      return 0;
    case 1:
      return static_cast<int8_t>(random);
    case 2:
      return static_cast<int16_t>(random);
    default:
      return static_cast<int32_t>(random >> 40) - (1 << 23);
  }
}

uint8_t free_register(CaseBuilder& builder, uint8_t limit) {
  for (int attempt = 0; attempt < 6; ++attempt) {
    const auto reg = static_cast<uint8_t>(builder.rng.below(limit));
    if (reg != kRsp && builder.settable(reg)) return reg;
  }
  return kNone;
}

uint8_t known_register(CaseBuilder& builder, uint8_t limit) {
  for (int attempt = 0; attempt < 6; ++attempt) {
    const auto reg = static_cast<uint8_t>(builder.rng.below(limit));
    if (builder.known(reg)) return reg;
  }
  return kNone;
}

bool fits(int64_t value) { return value == static_cast<int32_t>(value); }

// Base, and at times index: the base takes up what is missing.
bool by_base(CaseBuilder& builder, uint64_t target, uint8_t limit, MemoryRef& mem) {
  Rng& rng = builder.rng;
  mem.base = free_register(builder, limit);
  if (mem.base == kNone) return false;
  mem.displacement = small_displacement(rng);
  uint64_t base = target - static_cast<int64_t>(mem.displacement);
  if (rng.chance(40)) {
    const uint8_t index = known_register(builder, limit);
    if (index != kNone && index != kRsp && index != mem.base) {
      mem.index = index;
      mem.scale_log2 = static_cast<uint8_t>(rng.below(4));
      base -= builder.value(index) << mem.scale_log2;
      builder.set(index, builder.value(index));  // from now on relied on
    }
  }
  if (mem.address32) base = (base & 0xffffffff) | (rng.next() & ~uint64_t{0xffffffff});
  return builder.set(mem.base, base);
}

// A register that already has a value near by.
bool by_neighbour(CaseBuilder& builder, uint64_t target, uint8_t limit, MemoryRef& mem) {
  mem.base = known_register(builder, limit);
  if (mem.base == kNone) return false;
  const auto distance = static_cast<int64_t>(target - builder.value(mem.base));
  if (!fits(distance)) return false;
  mem.displacement = static_cast<int32_t>(distance);
  return builder.set(mem.base, builder.value(mem.base));
}

bool absolute(uint64_t target, MemoryRef& mem) {
  mem.base = mem.index = kNone;
  mem.displacement = static_cast<int32_t>(target);
  if (mem.address32) return target <= 0xffffffff;
  return fits(static_cast<int64_t>(target));
}

void choose_segment(CaseBuilder& builder, MemoryRef& mem, uint64_t& target) {
  if (!builder.has_segment_bases || !builder.segment_bases_known || !builder.rng.chance(6)) return;
  const bool fs = builder.rng.chance(50);
  const CpuState& start = builder.test().start;
  mem.segment_prefix = fs ? 0x64 : 0x65;
  target -= fs ? start.fs_base : start.gs_base;
}

}  // namespace

uint64_t choose_target(Rng& rng, uint64_t bytes, bool aligned) {
  const uint64_t random = rng.next();
  uint64_t target = 0;
  const uint32_t kind = rng.below(100);
  if (kind < 80)
    target = kData + random % (kDataSize - bytes);
  else if (kind < 88)
    target = kData + kPage - 1 - random % (bytes + 1);  // at the seam of the two pages
  else if (kind < 94)
    target = kDataEnd - random % (bytes + 8);  // at the end, or over it
  else if (kind < 96)
    target = kData - 1 - random % (bytes + 8);  // at the start
  else
    target = outside(rng);
  if (aligned && !rng.chance(6)) target &= ~uint64_t{15};
  return target;
}

MemoryRef reach(CaseBuilder& builder, uint64_t target, bool low_registers_only) {
  Rng& rng = builder.rng;
  const auto limit = static_cast<uint8_t>(low_registers_only ? 8 : 16);
  MemoryRef mem;
  mem.target = target;
  uint64_t offset = target;
  choose_segment(builder, mem, offset);
  mem.address32 = offset <= 0xffffffff && rng.chance(5);
  const uint32_t kind = rng.below(100);
  MemoryRef plain = mem;
  if (kind < 70 && by_base(builder, offset, limit, mem)) return mem;
  mem = plain;
  if (kind < 85 && by_neighbour(builder, offset, limit, mem)) return mem;
  mem = plain;
  if (kind < 95 && offset - kCode < 0x10000000 && mem.segment_prefix == 0) {
    mem.rip_relative = true;
    return mem;
  }
  if (absolute(offset, mem)) return mem;
  mem = plain;
  if (by_base(builder, offset, limit, mem)) return mem;
  mem = {};
  mem.target = kData + rng.below(kPage);
  absolute(mem.target, mem);
  return mem;
}

MemoryRef any_address(Rng& rng, bool low_registers_only) {
  const uint32_t limit = low_registers_only ? 8 : 16;
  MemoryRef mem;
  if (rng.chance(85)) mem.base = static_cast<uint8_t>(rng.below(limit));
  if (rng.chance(50)) mem.index = static_cast<uint8_t>(rng.below(limit));
  if (mem.index == kRsp) mem.index = kNone;
  if (mem.index != kNone) mem.scale_log2 = static_cast<uint8_t>(rng.below(4));
  mem.displacement = static_cast<int32_t>(integer_value(rng));
  mem.address32 = rng.chance(10);
  mem.rip_relative = rng.chance(5);
  mem.target = kData;
  return mem;
}

}  // namespace husk::cpu_diff
