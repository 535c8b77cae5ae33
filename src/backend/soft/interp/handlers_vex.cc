// Vector moves whose lanes come and go by a mask: VMASKMOV, VPMASKMOV and gathers. A lane that the
// mask leaves out is not accessed, so it cannot fault (Intel SDM vol. 2, VMASKMOV).
#include <algorithm>
#include <cstring>

#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/handlers_simd.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

using fpu::CompiledInsn;
using fpu::Vector;

// The sign bit decides.
bool lane_counts(const Vector& mask, uint32_t at, uint32_t lane) {
  return (mask[at + lane - 1] & 0x80) != 0;
}

const Op* masked_load(Cpu& cpu, const Op* o) {
  const CompiledInsn& insn = compiled_of(o);
  if (!simd_available(cpu, o, insn)) return nullptr;
  const uint64_t linear = linear_address(cpu, o);
  if (std::byte* host = cpu.tlb.find(cpu.tlb.read, linear, insn.size, cpu.context))
    return simd_execute(cpu, o, insn, host);
  const Vector mask = fpu::vector(cpu.fpu_state, insn.mask);
  Vector bounce{};
  for (uint32_t at = 0; at < insn.size; at += insn.lane) {
    if (lane_counts(mask, at, insn.lane) &&
        !cpu.load_slow(o, linear + at, bounce.data() + at, insn.lane))
      return nullptr;
  }
  return simd_execute(cpu, o, insn, bounce.data());
}

const Op* masked_store(Cpu& cpu, const Op* o) {
  const CompiledInsn& insn = compiled_of(o);
  if (!simd_available(cpu, o, insn)) return nullptr;
  const uint64_t linear = linear_address(cpu, o);
  if (std::byte* host = cpu.tlb.find(cpu.tlb.write, linear, insn.size, cpu.context))
    return simd_execute(cpu, o, insn, host);
  const Vector mask = fpu::vector(cpu.fpu_state, insn.mask);
  const Vector value = fpu::vector(cpu.fpu_state, insn.reg);
  for (uint32_t at = 0; at < insn.size; at += insn.lane) {
    if (lane_counts(mask, at, insn.lane) && !cpu.probe_write(o, linear + at, insn.lane))
      return nullptr;
  }
  for (uint32_t at = 0; at < insn.size; at += insn.lane) {
    if (lane_counts(mask, at, insn.lane) &&
        !cpu.store_slow(o, linear + at, value.data() + at, insn.lane))
      return nullptr;
  }
  return o + 1;
}

// The effective address wraps by the address size, whose bytes are in `aux`; with 32 bits the
// segment, in its upper half, has been added already.
uint64_t lane_address(const Cpu& cpu, const Op* o, uint64_t linear, int64_t index) {
  const uint64_t moved = linear + (static_cast<uint64_t>(index) << compiled_of(o).scale_log2);
  if ((o->aux & 15) == 8) return moved;
  const uint64_t base = cpu.seg_base[o->aux >> 4];
  const uint64_t wrapped = base + ((moved - base) & 0xffffffffu);
  return cpu.code64() ? wrapped : wrapped & 0xffffffffu;
}

int64_t index_at(const Vector& indices, uint32_t n, uint32_t size) {
  if (size == 4) {
    int32_t narrow;
    std::memcpy(&narrow, indices.data() + n * size, size);
    return narrow;
  }
  int64_t wide;
  std::memcpy(&wide, indices.data() + n * size, size);
  return wide;
}

bool load_lane(Cpu& cpu, const Op* o, uint64_t linear, uint8_t* to, uint32_t lane) {
  if (const std::byte* host = cpu.tlb.find(cpu.tlb.read, linear, lane, cpu.context)) {
    std::memcpy(to, host, lane);
    return true;
  }
  return cpu.load_slow(o, linear, to, lane);
}

// A fault leaves the lanes before it done and their mask clear, so that the instruction goes on
// with the rest, whose mask has become whole lanes (Intel SDM vol. 2, VPGATHERDD). A lane that a
// device answers is asked for again with all before it, so nothing is written meanwhile.
const Op* gather(Cpu& cpu, const Op* o) {
  const CompiledInsn& insn = compiled_of(o);
  if (!simd_available(cpu, o, insn)) return nullptr;
  const uint64_t linear = linear_address(cpu, o);
  const Vector indices = fpu::vector(cpu.fpu_state, insn.index);
  Vector mask = fpu::vector(cpu.fpu_state, insn.mask);
  Vector value = fpu::vector(cpu.fpu_state, insn.reg);
  const uint32_t count = insn.size / std::max<uint32_t>(insn.lane, insn.index_size);
  bool done = true;
  for (uint32_t n = 0; n < count && done; ++n) {
    const uint32_t at = n * insn.lane;
    const uint64_t from = lane_address(cpu, o, linear, index_at(indices, n, insn.index_size));
    if (lane_counts(mask, at, insn.lane))
      done = load_lane(cpu, o, from, value.data() + at, insn.lane);
    if (done) std::memset(mask.data() + at, 0, insn.lane);
  }
  if (!done && cpu.stop == Stop::kDevice) return nullptr;
  for (uint32_t at = 0; at < insn.size; at += insn.lane)
    std::memset(mask.data() + at, lane_counts(mask, at, insn.lane) ? 0xff : 0, insn.lane);
  const uint32_t used = done ? count * insn.lane : insn.size;
  std::memset(mask.data() + used, 0, mask.size() - used);
  if (done) std::memset(value.data() + used, 0, value.size() - used);
  fpu::set_vector(cpu.fpu_state, insn.mask, mask);
  fpu::set_vector(cpu.fpu_state, insn.reg, value);
  return done ? o + 1 : nullptr;
}

}  // namespace

Handler masked_handler(const CompiledInsn& insn) {
  if (insn.gathers) return gather;
  return insn.memory == fpu::MemAccess::kRead ? masked_load : masked_store;
}

}  // namespace husk::soft::interp
