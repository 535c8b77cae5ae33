#include "cpu_diff/setup.h"

#include <cstring>

#include "cpu_diff/values.h"

namespace husk::cpu_diff {
namespace {

constexpr uint8_t kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7;

constexpr uint64_t kFlagT = 0x100, kFlagNt = 0x4000, kFlagAc = 0x40000;

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
  // What is above 32 bits is cleared or kept, as the processor likes, when no iteration completes.
  const bool completes = !builder.restricted();
  const uint64_t noise = plan.mem.address32 && completes ? rng.next() << 32 : 0;
  if (rng.chance(70)) {
    uint64_t count = 1 + rng.below(40);
    if (rng.chance(5)) count = 1 + rng.below(2000);
    if (noise == 0 && rng.chance(10)) count = 0;
    if (!builder.set(kRcx, count + noise)) return false;
    plan.repeat = rng.chance(60) ? 0xf3 : 0xf2;
  }
  if ((opcode & 0xfe) == 0xa6) builder.check_faults(FaultCheck::kAny);  // CMPS reads two places
  if (plan.mem.address32) {  // only what 32 bits reach, and no fault
    const uint64_t middle = kData + kPage - 400;
    if (noise != 0 && plan.repeat != 0 && builder.value(kRcx) - noise > 40) return false;
    if (source && !builder.set(kRsi, middle + rng.below(800) + noise)) return false;
    return !destination || builder.set(kRdi, middle + rng.below(800) + noise);
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
  if (builder.long_cases && rng.chance(70) && (plan.form->touches >> kRsp & 1) == 0) {
    plan.imm = 0;
    return;
  }
  plan.ends_case = true;
  static_assert(CpuCase::kMaxCode < 0x78, "or a short jump back could meet the case");
  if (wide) {
    // Far away, but not where a sanitizer's shadow is.
    const uint64_t far = kCode + rng.below(0x60000000) - 0x30000000;
    plan.imm = (rng.chance(10) ? far : branch_target(builder)) - builder.next_address() - 6;
  } else {
    plan.imm = rng.chance(70) ? rng.below(0x80) : 0x80 + rng.below(8);
  }
}

bool registers_for_branch(CaseBuilder& builder, Plan& plan) {
  if ((plan.form->touches >> kRsp & 1) != 0) {
    if (!set_stack(builder, 8) || !builder.known(kRsp)) return false;
    builder.ignore(builder.value(kRsp) - 8, 8);  // written or not when the target is not canonical
  }
  builder.check_faults(FaultCheck::kAny);
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

// Any bits but NT and AC; TF, which traps after the next instruction, only at times.
bool pop_flags(CaseBuilder& builder) {
  if (!set_stack(builder, 8)) return false;
  if (!builder.known(kRsp)) return false;
  uint64_t flags = builder.rng.next() & 0x3fffff & ~(kFlagT | kFlagNt | kFlagAc);
  if (builder.rng.chance(10)) flags |= kFlagT;
  builder.patch(builder.value(kRsp), &flags, 8);
  return true;
}

// A store over the int3 behind the case: it must be executed as what it has become.
void own_code(CaseBuilder& builder, Plan& plan) {
  constexpr std::array<uint8_t, 5> kOneByteInsns = {0x90, 0xf8, 0xf9, 0xf5, 0x98};
  constexpr uint64_t kLength = 7;  // with a RIP-relative operand and no prefix
  plan.mem = {};
  plan.mem.rip_relative = true;
  plan.mem.target = builder.next_address() + kLength;
  plan.legacy_registers = true;
  plan.empty_rex = false;
  plan.imm = kOneByteInsns[builder.rng.below(kOneByteInsns.size())];
  plan.ends_case = true;
  builder.writes_code();
}

bool mask_move(CaseBuilder& builder, const Plan& plan) {
  builder.check_faults(FaultCheck::kAny);
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

// The pointers of the last x87 instruction.
void ignore_pointers(CaseBuilder& builder, Plan& plan) {
  plan.ends_case = true;  // lest somebody load them
  if (plan.form->setup == Setup::kFxsave) {
    builder.ignore(plan.mem.target + 6, 18);
  } else {
    builder.ignore(plan.mem.target + 12, 16);
  }
}

// The bits of the control word that are fixed, as they are not.
void reserved_control(Rng& rng, std::array<uint8_t, 512>& image) {
  if (!rng.chance(10)) return;
  image[0] ^= 0xc0;
  image[1] |= 0xe0;
}

// A whole image, at times with a reserved bit of MXCSR.
void saved_state(CaseBuilder& builder, const Plan& plan) {
  std::array<uint8_t, 512> image;
  fill_fx(builder.rng, image);
  if (builder.rng.chance(5)) image[26] = 1;
  reserved_control(builder.rng, image);
  builder.patch(plan.mem.target, image.data(), image.size());
}

void control_and_status(CaseBuilder& builder, const Plan& plan) {
  std::array<uint8_t, 512> image;
  fill_fx(builder.rng, image);
  reserved_control(builder.rng, image);
  if (plan.form->setup == Setup::kControl) builder.patch(plan.mem.target, image.data(), 2);
  if (plan.form->setup != Setup::kEnvironment) return;
  const std::array<uint16_t, 6> words = {static_cast<uint16_t>(image[0] | image[1] << 8), 0xffff,
                                         static_cast<uint16_t>(image[2] | image[3] << 8), 0xffff,
                                         static_cast<uint16_t>(builder.rng.next()),       0xffff};
  builder.patch(plan.mem.target, words.data(), sizeof words);
}

void mxcsr(CaseBuilder& builder, const Plan& plan) {
  uint32_t value = mxcsr_value(builder.rng);
  if (builder.rng.chance(5)) value |= 1u << (16 + builder.rng.below(16));
  builder.patch(plan.mem.target, &value, 4);
}

void branch_through(CaseBuilder& builder, const Plan& plan) {
  const uint64_t target = branch_target(builder);
  builder.patch(plan.mem.target, &target, 8);
}

// These load what was arranged in memory, and no store of an earlier instruction may have changed
// that.
bool must_be_first(Setup setup) {
  return setup == Setup::kPopf || setup == Setup::kFxrstor || setup == Setup::kGather;
}

// The lane's index, which reaches into the data, or anywhere when the mask leaves the lane out:
// what a fault leaves of the lanes behind it is the processor's own affair.
int64_t gather_index(Rng& rng, bool counts, uint32_t scale_log2, uint64_t from, uint32_t lane) {
  if (!counts) return static_cast<int64_t>(rng.next());
  const uint64_t target = kData + 8 + rng.below(static_cast<uint32_t>(kDataSize - lane - 8));
  return static_cast<int64_t>(target - from) >> scale_log2;
}

// Registers that differ, lanes that are said by a mask, indices that fit.
void gather(CaseBuilder& builder, Plan& plan) {
  Rng& rng = builder.rng;
  const uint32_t lane = plan.form->vex_wide ? 8 : 4;
  const uint32_t index_size = (plan.form->opcode[0] & 1) != 0 ? 8 : 4;
  const uint64_t from = kData + 64 + rng.below(kDataSize - 128);
  MemoryRef mem;
  mem.base = static_cast<uint8_t>(8 + rng.below(7));
  mem.scale_log2 = static_cast<uint8_t>(rng.below(4));
  mem.index = static_cast<uint8_t>(rng.below(16));
  mem.target = from;
  if (rng.chance(50)) mem.displacement = static_cast<int8_t>(rng.next());
  if (!builder.set(mem.base, from - static_cast<uint64_t>(int64_t{mem.displacement}))) return;
  plan.mem = mem;
  if (!rng.chance(4)) {
    plan.vvvv = static_cast<uint8_t>((mem.index + 1 + rng.below(7)) & 15);
    plan.reg = static_cast<uint8_t>((mem.index + 8 + rng.below(7)) & 15);
  }
  std::array<uint8_t, 32> mask{}, indices{};
  for (uint32_t at = 0; at < 32; at += lane) mask[at + lane - 1] = rng.chance(60) ? 0x80 : 0x7f;
  for (uint32_t n = 0; n * index_size < 32; ++n) {
    const bool counts = n * lane >= 32 || mask[n * lane + lane - 1] == 0x80;
    const int64_t index = gather_index(rng, counts, mem.scale_log2, from, lane);
    std::memcpy(&indices[n * index_size], &index, index_size);
  }
  builder.set_vector(plan.vvvv, mask);
  builder.set_vector(mem.index, indices);
}

}  // namespace

bool prepare_registers(CaseBuilder& builder, Plan& plan) {
  if (must_be_first(plan.form->setup) && builder.test().insn_count != 0) return false;
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
  if (plan.form->memory_bytes > 16 && !plan.form->vex) builder.check_faults(FaultCheck::kAny);
  switch (plan.form->setup) {
    case Setup::kGather:
      return gather(builder, plan);
    case Setup::kMaskedLanes:
      return builder.check_faults(FaultCheck::kAny);
    case Setup::kCmpxchg:
      return compare_exchange(builder, plan);
    case Setup::kBranchReg:
      return branch_through(builder, plan);
    case Setup::kOwnCode:
      return own_code(builder, plan);
    case Setup::kMxcsr:
      return mxcsr(builder, plan);
    case Setup::kFxrstor:
      return saved_state(builder, plan);
    case Setup::kControl:
    case Setup::kEnvironment:
      return control_and_status(builder, plan);
    case Setup::kFxsave:
    case Setup::kFnsave:
    case Setup::kFnstenv:
      return ignore_pointers(builder, plan);
    default:
      return;
  }
}

}  // namespace husk::cpu_diff
