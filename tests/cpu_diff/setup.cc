#include "cpu_diff/setup.h"

#include "cpu_diff/values.h"

namespace husk::cpu_diff {
namespace {

constexpr uint8_t kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7;

// Where control may go: mostly to an int3 of the code pages, else to where nothing can be executed.
uint64_t branch_target(CaseBuilder& builder) {
  Rng& rng = builder.rng;
  switch (rng.below(20)) {
    case 0:
      return kData + rng.below(kDataSize);  // not executable
    case 1:
      return kCodeEnd + rng.below(kPage);  // not mapped
    case 2:
      return 0x0000800000000000 + rng.below(kPage);
    case 3:
      return 0xffff800000000000 + rng.below(kPage);
    default:
      break;
  }
  // Never into the case itself, or near it: it would not end.
  const uint64_t start = builder.test().start.rip;
  const uint64_t target = kCode + rng.below(static_cast<uint32_t>(kCodeSize));
  const bool near = target + 16 >= start && target < builder.next_address() + 32;
  return !near ? target : start < kCode + kPage ? kCodeEnd - 1 : kCode;
}

bool set_stack(CaseBuilder& builder, uint64_t bytes) {
  if (!builder.settable(kRsp))
    return builder.stack_trusted && builder.value(kRsp) - kData < kDataSize;
  uint64_t target = choose_target(builder.rng, bytes, false);
  if (builder.rng.chance(80)) target &= ~uint64_t{7};
  return builder.set(kRsp, target);
}

bool string(CaseBuilder& builder, Plan& plan) {
  Rng& rng = builder.rng;
  const uint8_t opcode = plan.form->opcode[0];
  const bool source = opcode < 0xa8 || (opcode & 0xfe) == 0xac;
  const bool destination = (opcode & 0xfe) != 0xac;
  plan.mem.address32 = rng.chance(8);
  const uint64_t noise = plan.mem.address32 ? rng.next() << 32 : 0;
  if (rng.chance(70)) {
    uint64_t count = rng.below(40);
    if (rng.chance(5)) count = rng.below(2000);
    if (rng.chance(10)) count = 0;
    if (!builder.set(kRcx, count + noise)) return false;
    plan.repeat = rng.chance(60) ? 0xf3 : 0xf2;
  }
  if (plan.mem.address32) {  // only what 32 bits reach
    if (source && !builder.set(kRsi, kData + rng.below(kDataSize) + noise)) return false;
    return !destination || builder.set(kRdi, kData + rng.below(kDataSize) + noise);
  }
  uint64_t from = choose_target(rng, plan.operand_bytes, false);
  if (source && builder.has_segment_bases && builder.segment_bases_known && rng.chance(5)) {
    plan.mem.segment_prefix = 0x65;
    from -= builder.test().start.gs_base;
  }
  if (source && !builder.set(kRsi, from)) return false;
  if (!destination) return true;
  // At times close to the source, so that they overlap.
  const uint64_t to = source && rng.chance(30) ? from + rng.below(33) - 16
                                               : choose_target(rng, plan.operand_bytes, false);
  return builder.set(kRdi, to);
}

// Half of the time a dividend that fits; else whatever the registers are, most of which overflow.
bool divide(CaseBuilder& builder, const Plan& plan) {
  Rng& rng = builder.rng;
  if (rng.chance(30)) return true;
  const bool is_signed = plan.form->extension == 7;
  const uint64_t low = integer_value(rng);
  if (!builder.settable(kRax) || (plan.operand_bytes > 1 && !builder.settable(kRdx))) return true;
  const uint32_t bits = plan.operand_bytes * 8u;
  if (bits == 8) {
    const uint64_t sign = is_signed && (low & 0x80) != 0 ? 0xff00 : 0;
    builder.set(kRax, (low & 0xff) | sign | (rng.next() << 16));
    return true;
  }
  builder.set(kRax, low);
  const bool negative = is_signed && (low >> (bits - 1) & 1) != 0;
  const uint64_t high = negative ? ~uint64_t{0} : 0;
  builder.set(kRdx, rng.chance(60) ? high : high ^ rng.below(16));
  return true;
}

bool bit_offset(CaseBuilder& builder, Plan& plan) {
  if (!plan.memory) return true;
  const int64_t offset = static_cast<int64_t>(builder.rng.below(4096)) - 2048;
  return builder.set(plan.reg, static_cast<uint64_t>(offset));
}

// Counts above the width leave CF, and of double shifts the result too, undefined.
bool shift(CaseBuilder& builder, Plan& plan) {
  const bool double_shift = plan.form->opcode_length == 2;
  if (plan.operand_bytes >= 4) return true;
  plan.undefined |= kFlagC;
  if (!double_shift) return true;
  const uint64_t count = builder.rng.below(17);
  if (plan.imm_bytes == 0) return builder.set(kRcx, count);
  plan.imm = count;
  return true;
}

bool enter(CaseBuilder& builder, Plan& plan) {
  Rng& rng = builder.rng;
  const uint64_t level = rng.chance(60) ? 0 : rng.below(40);
  plan.imm = rng.below(300) | level << 16;
  plan.imm_bytes = 3;
  if (!set_stack(builder, 16)) return false;
  return builder.set(kRbp, choose_target(rng, 8, false));
}

bool loop(CaseBuilder& builder, Plan& plan) {
  plan.mem.address32 = builder.rng.chance(20);
  if (builder.settable(kRcx))
    builder.set(kRcx, builder.rng.chance(60) ? builder.rng.below(3) : integer_value(builder.rng));
  return true;
}

void relative_target(CaseBuilder& builder, Plan& plan) {
  Rng& rng = builder.rng;
  const uint8_t opcode = plan.form->opcode[0];
  const bool wide = opcode == 0x0f || opcode == 0xe8 || opcode == 0xe9;
  plan.imm_bytes = wide ? 4 : 1;
  plan.ends_case = true;
  static_assert(CpuCase::kMaxCode < 0x78, "or a short jump back could meet the case");
  if (wide) {
    plan.imm = (rng.chance(10) ? rng.next() : branch_target(builder)) - builder.next_address() - 6;
  } else {
    plan.imm = rng.chance(70) ? rng.below(0x80) : 0x80 + rng.below(8);
  }
}

bool registers_for_branch(CaseBuilder& builder, Plan& plan) {
  if ((plan.form->touches >> kRsp & 1) != 0 && !set_stack(builder, 8)) return false;
  plan.ends_case = true;
  return plan.memory || builder.set(plan.rm, branch_target(builder));
}

bool return_to(CaseBuilder& builder, Plan& plan) {
  if (!set_stack(builder, 8)) return false;
  if (!builder.known(kRsp)) return false;
  const uint64_t target = branch_target(builder);
  builder.patch(builder.value(kRsp), &target, 8);
  plan.ends_case = true;
  return true;
}

// Any bits but those that change how the next instructions run: TF, NT and AC.
bool pop_flags(CaseBuilder& builder) {
  if (!set_stack(builder, 8)) return false;
  if (!builder.known(kRsp)) return false;
  const uint64_t flags = builder.rng.next() & 0x3fffff & ~uint64_t{0x100 | 0x4000 | 0x40000};
  builder.patch(builder.value(kRsp), &flags, 8);
  return true;
}

bool mask_move(CaseBuilder& builder, const Plan& plan) {
  return builder.set(kRdi, choose_target(builder.rng, plan.form->prefix == 0x66 ? 16 : 8, false));
}

bool moffs(CaseBuilder& builder, Plan& plan) {
  plan.imm = choose_target(builder.rng, plan.operand_bytes, false);
  plan.mem.address32 = plan.imm <= 0xffffffff && builder.rng.chance(20);
  plan.imm_bytes = plan.mem.address32 ? 4 : 8;
  return true;
}

bool segment_base(CaseBuilder& builder, const Plan& plan) {
  if (!builder.has_segment_bases) return false;
  if (plan.form->extension >= 2) builder.segment_bases_known = false;
  return true;
}

// What is compared should be equal about half of the time.
void compare_exchange(CaseBuilder& builder, const Plan& plan) {
  if (!plan.memory || !builder.rng.chance(50)) return;
  const uint64_t at = plan.mem.target;
  const bool pair = plan.form->opcode[1] == 0xc7;
  if (!pair) {
    builder.set(kRax, builder.peek(at));
    return;
  }
  const uint32_t half = plan.rex_w ? 8 : 4;
  const uint64_t mask = plan.rex_w ? ~uint64_t{0} : 0xffffffff;
  builder.set(kRax, builder.peek(at) & mask);
  builder.set(kRdx, builder.peek(at + half) & mask);
}

void ignore_pointers(CaseBuilder& builder, const Plan& plan) {
  switch (plan.form->setup) {
    case Setup::kFxsave:
      builder.ignore(plan.mem.target + 6, 18);
      break;
    case Setup::kFnsave:
    case Setup::kFnstenv:
      builder.ignore(plan.mem.target + 12, 16);
      break;
    default:
      break;
  }
}

}  // namespace

bool prepare_registers(CaseBuilder& builder, Plan& plan) {
  switch (plan.form->setup) {
    case Setup::kDivide:
      return divide(builder, plan);
    case Setup::kBitOffset:
      return bit_offset(builder, plan);
    case Setup::kString:
      return string(builder, plan);
    case Setup::kMoffs:
      return moffs(builder, plan);
    case Setup::kEnter:
      return enter(builder, plan);
    case Setup::kLeave:
      return builder.set(kRbp, choose_target(builder.rng, 8, false));
    case Setup::kPush:
    case Setup::kPop:
      return set_stack(builder, plan.operand_bytes);
    case Setup::kPopf:
      return pop_flags(builder);
    case Setup::kXlat:
      return builder.set(kRbx, choose_target(builder.rng, 256, false));
    case Setup::kBranch:
      if ((plan.form->touches >> kRsp & 1) != 0 && !set_stack(builder, 8)) return false;
      relative_target(builder, plan);
      return true;
    case Setup::kLoop:
      relative_target(builder, plan);
      return loop(builder, plan);
    case Setup::kBranchReg:
      return registers_for_branch(builder, plan);
    case Setup::kReturn:
      return return_to(builder, plan);
    case Setup::kMaskMove:
      return mask_move(builder, plan);
    case Setup::kSegmentRead:
      plan.reg = static_cast<uint8_t>(builder.rng.below(6));
      return true;
    case Setup::kShift:
      return shift(builder, plan);
    case Setup::kBase:
      return segment_base(builder, plan);
    default:
      return true;
  }
}

void prepare_memory(CaseBuilder& builder, Plan& plan) {
  Rng& rng = builder.rng;
  const uint64_t at = plan.mem.target;
  switch (plan.form->setup) {
    case Setup::kCmpxchg:
      compare_exchange(builder, plan);
      break;
    case Setup::kBranchReg:
      if (plan.memory) {
        const uint64_t target = branch_target(builder);
        builder.patch(at, &target, 8);
      }
      break;
    case Setup::kMxcsr: {
      uint32_t value = mxcsr_value(rng);
      if (rng.chance(5)) value |= 1u << (16 + rng.below(16));
      builder.patch(at, &value, 4);
      break;
    }
    case Setup::kFxrstor: {
      std::array<uint8_t, 512> image;
      fill_fx(rng, image);
      if (rng.chance(5)) image[26] = 1;  // a reserved bit of MXCSR
      builder.patch(at, image.data(), image.size());
      break;
    }
    default:
      ignore_pointers(builder, plan);
      break;
  }
}

}  // namespace husk::cpu_diff
