// Segment registers and descriptors (Intel SDM vol. 3, chapters 3 and 5).
#include "backend/soft/interp/segments.h"

#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

Segment unpack_descriptor(uint16_t selector, uint64_t descriptor) {
  Segment segment;
  segment.selector = selector;
  segment.base = (descriptor >> 16 & 0xffffff) | (descriptor >> 56 & 0xff) << 24;
  segment.attributes =
      static_cast<uint16_t>((descriptor >> 40 & 0xff) | (descriptor >> 52 & 0xf) << 8);
  auto limit = static_cast<uint32_t>((descriptor & 0xffff) | (descriptor >> 48 & 0xf) << 16);
  if ((segment.attributes & kSegGranular) != 0) limit = limit << 12 | 0xfff;
  segment.limit = limit;
  return segment;
}

bool read_descriptor(Cpu& cpu, const Op* op, uint16_t selector, uint8_t vector,
                     uint64_t& descriptor, uint64_t& address, uint32_t external) {
  const bool local = (selector & 4) != 0;
  const uint64_t base = local ? cpu.ldtr.base : cpu.gdtr.base;
  const uint32_t limit = local ? cpu.ldtr.limit : cpu.gdtr.limit;
  const uint32_t offset = selector & ~7u;
  const bool table_present = !local || (cpu.ldtr.attributes & kSegPresent) != 0;
  if (!table_present || offset + 7 > limit) {
    cpu.fault(op, vector, (selector & 0xfffcu) | external);
    return false;
  }
  address = base + offset;
  return cpu.system_load(op, address, &descriptor, 8);
}

bool within_limit(const Segment& segment, uint64_t offset, uint32_t size) {
  const uint16_t type = segment.attributes;
  const uint64_t last = offset + size - 1;
  const bool expand_down = (type & kSegCode) == 0 && (type & kSegConforming) != 0;
  if (!expand_down) return last <= segment.limit;
  return offset > segment.limit && last <= ((type & kSegBig) != 0 ? 0xffffffffu : 0xffffu);
}

bool stack_segment_allowed(const Segment& segment, uint16_t selector, uint8_t cpl) {
  const uint16_t type = segment.attributes;
  return (type & kSegNotSystem) != 0 && (type & kSegCode) == 0 && (type & kSegWritable) != 0 &&
         (selector & 3) == cpl && (type >> 5 & 3) == cpl;
}

bool mark_accessed(Cpu& cpu, const Op* op, uint64_t address, uint64_t& descriptor) {
  constexpr uint64_t kAccessed = uint64_t{1} << 40;
  if ((descriptor & kAccessed) != 0) return true;
  descriptor |= kAccessed;
  const auto byte = static_cast<uint8_t>(descriptor >> 40);
  return cpu.system_store(op, address + 5, &byte, 1);
}

namespace {

bool null_selector(uint16_t selector) { return (selector & 0xfffc) == 0; }

uint8_t dpl(const Segment& segment) { return segment.attributes >> 5 & 3; }

bool data_segment_allowed(const Segment& segment, uint16_t selector, uint8_t cpl) {
  const uint16_t type = segment.attributes;
  if ((type & kSegNotSystem) == 0) return false;
  const bool code = (type & kSegCode) != 0;
  if (code && (type & kSegWritable) == 0) return false;  // execute-only
  const bool conforming = code && (type & kSegConforming) != 0;
  return conforming || (dpl(segment) >= cpl && dpl(segment) >= (selector & 3));
}

}  // namespace

void Cpu::set_real_segment(uint8_t index, uint16_t selector) {
  Segment& segment = seg[index];
  segment.selector = selector;
  segment.base = uint64_t{selector} << 4;
  // Real mode keeps limit and rights as they were ("unreal mode"); virtual-8086 mode sets them.
  if (vm86()) {
    segment.limit = 0xffff;
    segment.attributes = kSegPresent | kSegNotSystem | kSegWritable | kSegAccessed | 3u << 5;
  }
  update_mode();
}

bool Cpu::load_segment(const Op* op, uint8_t index, uint16_t selector) {
  if (real_mode()) {
    set_real_segment(index, selector);
    return true;
  }
  const uint8_t vector = kGp;
  if (null_selector(selector)) {
    // A null SS is allowed in 64-bit mode below privilege 3.
    if (index == kSs && !(code64() && ring != 3 && (selector & 3) == ring)) {
      fault(op, vector, 0);
      return false;
    }
    Segment& segment = seg[index];
    segment.selector = selector;
    segment.attributes = index == kSs ? static_cast<uint16_t>(ring << 5) : 0;
    segment.base = 0;
    segment.limit = 0;
    update_mode();
    return true;
  }
  uint64_t descriptor = 0;
  uint64_t address = 0;
  if (!read_descriptor(*this, op, selector, vector, descriptor, address)) return false;
  const Segment segment = unpack_descriptor(selector, descriptor);
  const bool allowed = index == kSs ? stack_segment_allowed(segment, selector, ring)
                                    : data_segment_allowed(segment, selector, ring);
  if (!allowed) {
    fault(op, vector, selector & 0xfffcu);
    return false;
  }
  if ((segment.attributes & kSegPresent) == 0) {
    fault(op, index == kSs ? kSsFault : kNp, selector & 0xfffcu);
    return false;
  }
  if (!mark_accessed(*this, op, address, descriptor)) return false;
  seg[index] = unpack_descriptor(selector, descriptor);
  update_mode();
  return true;
}

}  // namespace husk::soft::interp
