// From a plan to bytes (Intel SDM vol. 2, chapter 2).
#include "cpu_diff/plan.h"

namespace husk::cpu_diff {
namespace {

class Writer {
 public:
  explicit Writer(std::span<uint8_t> out) : out_(out) {}
  void byte(uint32_t value) {
    if (at_ < out_.size()) out_[at_] = static_cast<uint8_t>(value);
    ++at_;
  }
  void number(uint64_t value, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; ++i) byte(static_cast<uint8_t>(value >> 8 * i));
  }
  [[nodiscard]] uint8_t size() const { return static_cast<uint8_t>(at_); }

 private:
  std::span<uint8_t> out_;
  size_t at_ = 0;
};

void prefixes(const Plan& plan, Writer& out) {
  if (plan.idle_prefix != 0) out.byte(plan.idle_prefix);
  if (plan.lock) out.byte(0xf0);
  if (plan.mem.segment_prefix != 0) out.byte(plan.mem.segment_prefix);
  if (plan.mem.address32) out.byte(0x67);
  const bool sized = plan.form->width == Width::kAny || plan.form->width == Width::kStack;
  if (sized && plan.operand_bytes == 2) out.byte(0x66);
  if (plan.form->prefix != 0 && !plan.form->vex) out.byte(plan.form->prefix);
  if (plan.repeat != 0) out.byte(plan.repeat);
}

void rex(const Plan& plan, Writer& out) {
  uint32_t bits = plan.rex_w ? 8 : 0;
  if (plan.form->opcode_register) {
    bits |= plan.reg >> 3;
  } else {
    if (plan.reg >= 8) bits |= 4;
    if (plan.memory) {
      if (plan.mem.index != kNone && plan.mem.index >= 8) bits |= 2;
      if (plan.mem.base != kNone && plan.mem.base >= 8) bits |= 1;
    } else if (plan.rm >= 8) {
      bits |= 1;
    }
  }
  if (bits != 0 || plan.empty_rex) out.byte(0x40 | bits);
}

// The short form where it can be, and at times where the long one could as well.
void vex(const Plan& plan, Writer& out) {
  const Form& form = *plan.form;
  const bool memory = plan.memory;
  const uint32_t pp = form.prefix == 0x66   ? 1
                      : form.prefix == 0xf3 ? 2
                      : form.prefix == 0xf2 ? 3
                                            : 0;
  const uint32_t last = (~plan.vvvv & 15u) << 3 | (form.vex_256 ? 4 : 0) | pp;
  const uint32_t r = plan.reg >= 8 ? 0 : 0x80;
  const uint32_t x = memory && plan.mem.index != kNone && plan.mem.index >= 8 ? 0 : 0x40;
  const uint8_t base = memory ? plan.mem.base : plan.rm;
  const uint32_t b = base != kNone && base >= 8 ? 0 : 0x20;
  if (form.vex_map == 1 && x != 0 && b != 0 && !form.vex_wide && !plan.empty_rex) {
    out.byte(0xc5);
    out.byte(r | last);
    return;
  }
  out.byte(0xc4);
  out.byte(r | x | b | form.vex_map);
  out.byte((form.vex_wide ? 0x80 : 0) | last);
}

uint32_t modrm(uint32_t mod, uint32_t reg, uint32_t rm) {
  return mod << 6 | (reg & 7) << 3 | (rm & 7);
}

void memory(const Plan& plan, uint64_t address, Writer& out) {
  const MemoryRef& mem = plan.mem;
  const auto displacement = static_cast<uint32_t>(mem.displacement);
  if (mem.rip_relative) {
    out.byte(modrm(0, plan.reg, 5));
    const uint64_t next = address + out.size() + 4 + plan.imm_bytes;
    out.number(mem.target - next, 4);
    return;
  }
  if (mem.base == kNone) {
    out.byte(modrm(0, plan.reg, 4));
    out.byte(modrm(mem.scale_log2, mem.index == kNone ? 4 : mem.index, 5));
    out.number(displacement, 4);
    return;
  }
  const bool none = displacement == 0 && (mem.base & 7) != 5;
  const bool small = mem.displacement == static_cast<int8_t>(mem.displacement);
  const uint32_t mod = none ? 0 : small ? 1 : 2;
  if (mem.index == kNone && (mem.base & 7) != 4) {
    out.byte(modrm(mod, plan.reg, mem.base));
  } else {
    out.byte(modrm(mod, plan.reg, 4));
    out.byte(modrm(mem.scale_log2, mem.index == kNone ? 4 : mem.index, mem.base));
  }
  if (mod != 0) out.number(displacement, mod == 1 ? 1 : 4);
}

}  // namespace

uint8_t encode(const Plan& plan, uint64_t address, std::span<uint8_t> bytes) {
  Writer out(bytes);
  const Form& form = *plan.form;
  prefixes(plan, out);
  if (form.vex) {
    vex(plan, out);
  } else {
    rex(plan, out);
  }
  for (uint8_t i = 0; i < form.opcode_length; ++i) {
    const bool last = i + 1 == form.opcode_length;
    out.byte(form.opcode[i] + (last && form.opcode_register ? plan.reg & 7 : 0));
  }
  if (form.modrm) {
    if (plan.memory) {
      memory(plan, address, out);
    } else {
      out.byte(modrm(3, plan.reg, plan.rm));
    }
  }
  out.number(plan.imm, plan.imm_bytes);
  return out.size();
}

}  // namespace husk::cpu_diff
