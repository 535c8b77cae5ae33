// The address op: effective addresses that the fast form cannot express, and segment checks outside
// 64-bit mode. It leaves the linear address in kSlotAddress for the op behind it.
//
// In the op: `aux` address size in bytes, `imm` the displacement, `size` bytes to access, `dst` 1
// for a write, `src` 1 to check the segment.
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

// Limit and rights of a data access (Intel SDM vol. 3, 5.3 and 5.5).
bool segment_allows(const Cpu& cpu, const Op* o, uint64_t offset) {
  const Segment& segment = cpu.seg[o->segment];
  const uint16_t type = segment.attributes;
  if (cpu.protected_mode() && !cpu.vm86()) {
    if ((type & kSegPresent) == 0) return false;
    const bool code = (type & kSegCode) != 0;
    if (o->dst == 1 && (code || (type & kSegWritable) == 0)) return false;
    if (o->dst == 0 && code && (type & kSegWritable) == 0) return false;
    const bool expand_down = !code && (type & kSegConforming) != 0;
    if (expand_down) {
      const uint64_t top = (type & kSegBig) != 0 ? 0xffffffffu : 0xffffu;
      return offset > segment.limit && offset + o->size - 1 <= top;
    }
  }
  return offset + o->size - 1 <= segment.limit;
}

const Op* address(Cpu& cpu, const Op* o) {
  uint64_t offset = reg<uint64_t>(cpu, o->base) + (reg<uint64_t>(cpu, o->index) << o->scale) +
                    static_cast<uint64_t>(o->imm);
  if (o->aux == 4) offset &= 0xffffffffu;
  if (o->aux == 2) offset &= 0xffffu;
  if (o->src == 1 && !segment_allows(cpu, o, offset))
    return cpu.fault(o, o->segment == kSs ? kSsFault : kGp, 0);
  uint64_t linear = offset + cpu.seg_base[o->segment];
  if (!cpu.code64()) linear &= 0xffffffffu;
  cpu.regs[kSlotAddress] = o->segment == kSegZero ? offset : linear;
  HUSK_NEXT(cpu, o);
}

// Reads a byte and forgets it.
const Op* touch(Cpu& cpu, const Op* o) {
  uint8_t ignored;
  if (!load<uint8_t>(cpu, o, linear_address(cpu, o), ignored)) return nullptr;
  HUSK_NEXT(cpu, o);
}

}  // namespace

Handler address_handler() { return address; }
Handler touch_handler() { return touch; }

}  // namespace husk::soft::interp
