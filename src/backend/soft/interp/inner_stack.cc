#include "backend/soft/interp/inner_stack.h"

#include "backend/soft/interp/segments.h"

namespace husk::soft::interp {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

namespace {

bool raise(Cpu& cpu, const Op* op, uint8_t vector, uint32_t error) {
  cpu.fault(op, vector, error);
  return false;
}

}  // namespace

// Intel SDM vol. 3, figure 8-11.
bool inner_stack_64(Cpu& cpu, const Op* op, uint8_t level, uint8_t ist, uint32_t external,
                    uint64_t& sp) {
  const uint32_t offset = ist != 0 ? 0x24 + (ist - 1u) * 8 : 4 + level * 8u;
  if (offset + 7 > cpu.tr.limit) return raise(cpu, op, kTs, (cpu.tr.selector & 0xfffcu) | external);
  return cpu.system_load(op, cpu.tr.base + offset, &sp, 8);
}

// Intel SDM vol. 3, figure 8-2.
bool inner_stack_32(Cpu& cpu, const Op* op, uint8_t level, uint32_t external, Segment& stack,
                    uint64_t& sp) {
  uint32_t new_sp = 0;
  uint16_t selector = 0;
  const uint32_t offset = 4 + level * 8u;
  if (offset + 5 > cpu.tr.limit) return raise(cpu, op, kTs, (cpu.tr.selector & 0xfffcu) | external);
  if (!cpu.system_load(op, cpu.tr.base + offset, &new_sp, 4) ||
      !cpu.system_load(op, cpu.tr.base + offset + 4, &selector, 2))
    return false;
  const uint32_t error = (selector & 0xfffcu) | external;
  if ((selector & 0xfffc) == 0) return raise(cpu, op, kTs, external);
  uint64_t descriptor = 0;
  uint64_t address = 0;
  if (!read_descriptor(cpu, op, selector, kTs, descriptor, address, external)) return false;
  stack = unpack_descriptor(selector, descriptor);
  if (!stack_segment_allowed(stack, selector, level)) return raise(cpu, op, kTs, error);
  if ((stack.attributes & kSegPresent) == 0) return raise(cpu, op, kSsFault, error);
  sp = new_sp;
  return true;
}

Segment null_stack(uint8_t level) {
  Segment stack;
  stack.selector = level;
  stack.attributes = static_cast<uint16_t>(level << 5);
  return stack;
}

}  // namespace husk::soft::interp
