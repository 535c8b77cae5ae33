#include "cpu_diff/generate.h"

#include <algorithm>
#include <array>

#include "cpu_diff/block_shape.h"
#include "cpu_diff/case_builder.h"
#include "cpu_diff/form.h"
#include "cpu_diff/setup.h"
#include "cpu_diff/values.h"

namespace husk::cpu_diff {
namespace {

constexpr uint8_t kRsp = 4;

const std::vector<Form>& choose_table(Rng& rng) {
  const FormTables& tables = form_tables();
  const uint32_t kind = rng.below(100);
  if (kind < 38) return tables.integer;
  if (kind < 43) return tables.flow;
  if (kind < 63 && !tables.vex.empty()) return tables.vex;
  if (kind < 64 && !tables.vex.empty()) return tables.vex_undefined;
  if (kind < 86) return tables.sse;
  if (kind < 99) return tables.x87;
  return tables.undefined;
}

const Form& choose_form(Rng& rng) {
  const auto& table = choose_table(rng);
  return table[rng.below(static_cast<uint32_t>(table.size()))];
}

const Form* choose_only(Rng& rng, std::string_view name) {
  const FormTables& tables = form_tables();
  std::vector<const Form*> fitting;
  for (const auto* table : {&tables.integer, &tables.flow, &tables.sse, &tables.x87,
                            &tables.undefined, &tables.vex, &tables.vex_undefined}) {
    for (const Form& form : *table) {
      if (form.name == name) fitting.push_back(&form);
    }
  }
  return fitting.empty() ? nullptr : fitting[rng.below(static_cast<uint32_t>(fitting.size()))];
}

void choose_width(Rng& rng, Plan& plan) {
  const uint32_t kind = rng.below(100);
  switch (plan.form->width) {
    case Width::kByte:
      plan.operand_bytes = 1;
      break;
    case Width::kAny:
      plan.operand_bytes = kind < 20 ? 2 : kind < 55 ? 4 : 8;
      break;
    case Width::kWord32:
      plan.operand_bytes = kind < 50 ? 4 : 8;
      break;
    case Width::kStack:
      plan.operand_bytes = kind < 15 ? 2 : 8;
      break;
    case Width::kQuad:
      plan.operand_bytes = 8;
      break;
    case Width::kFixed:
      plan.operand_bytes = 4;
      break;
  }
  // Near branches are of 64 bits whatever the prefixes say.
  if (plan.form->setup == Setup::kBranchReg) plan.operand_bytes = 8;
  plan.rex_w = plan.form->width != Width::kStack && plan.operand_bytes == 8;
}

uint8_t choose_register(Rng& rng, const Plan& plan, RegFile file) {
  if (file == RegFile::kMmx) return static_cast<uint8_t>(rng.below(8));
  return static_cast<uint8_t>(rng.below(plan.legacy_registers ? 8 : 16));
}

void choose_immediate(Rng& rng, Plan& plan) {
  switch (plan.form->imm) {
    case Imm::kNone:
      return;
    case Imm::kByte:
      plan.imm_bytes = 1;
      break;
    case Imm::kWord:
      plan.imm_bytes = 2;
      break;
    case Imm::kZ:
      plan.imm_bytes = std::min<uint8_t>(plan.operand_bytes, 4);
      break;
    case Imm::kV:
      plan.imm_bytes = plan.operand_bytes;
      break;
  }
  if (plan.form->imm == Imm::kZ && plan.form->width == Width::kByte) plan.imm_bytes = 1;
  plan.imm = integer_value(rng);
}

void choose_registers(Rng& rng, Plan& plan) {
  const Form& form = *plan.form;
  const bool byte_operands = form.width == Width::kByte || form.memory_bytes == 1;
  plan.legacy_registers = byte_operands && !plan.rex_w && rng.chance(40);
  plan.empty_rex = !plan.legacy_registers && rng.chance(5);
  if (form.extension >= 0) {
    plan.reg = static_cast<uint8_t>(form.extension);
  } else if (form.modrm || form.opcode_register) {
    plan.reg = choose_register(rng, plan, form.reg_file);
  }
  if (form.vex_register || (form.vex && rng.chance(2)))
    plan.vvvv = static_cast<uint8_t>(rng.below(16));
  if (form.modrm) plan.rm = choose_register(rng, plan, form.rm_file);
  plan.memory =
      form.modrm && (form.rm == RmKind::kMemory || (form.rm == RmKind::kEither && rng.chance(45)));
}

void choose_memory(CaseBuilder& builder, Plan& plan) {
  const Form& form = *plan.form;
  const bool address32 = plan.mem.address32;
  if (form.setup == Setup::kLea) {
    plan.mem = any_address(builder.rng, plan.legacy_registers);
    return;
  }
  const uint64_t bytes = form.memory_bytes != 0 ? form.memory_bytes : plan.operand_bytes;
  uint64_t target = choose_target(builder.rng, bytes, form.aligned);
  if (form.aligned && bytes > 16 && !builder.rng.chance(6)) target &= ~(bytes - 1);
  // x87 stores of more than 8 bytes may have written a part when they fault: let them fault at once
  // or not at all.
  const bool torn = bytes > 8 && !form.vex && !form.aligned && form.rm == RmKind::kMemory;
  if (torn && target - kData < kDataSize && target + bytes > kDataEnd) target = kDataEnd;
  if (torn && kData - target < bytes) target = kData - bytes;
  if (torn && builder.restricted() && target < kData + kPage && target + bytes > kData + kPage)
    target = kData + kPage;
  const bool converts = form.vex_map == 3 && form.opcode[0] == 0x1d;
  if (converts && target - kData > kDataSize - bytes) target = kData;
  plan.mem = reach(builder, target, plan.legacy_registers);
  plan.mem.address32 |= address32 && plan.mem.target <= 0xffffffff && plan.mem.segment_prefix == 0;
}

void choose_prefixes(Rng& rng, Plan& plan) {
  constexpr std::array<uint8_t, 4> kIdle = {0x26, 0x2e, 0x36, 0x3e};
  if (rng.chance(3)) plan.idle_prefix = kIdle[rng.below(4)];
  if (plan.form->lock) plan.lock = plan.memory && rng.chance(40);
  // Where LOCK is not legal it is #UD.
  else if (rng.chance(1) && plan.form->opcode[0] != 0xf1)
    plan.lock = true;
}

enum class Added : uint8_t { kYes, kLast, kNo };

Added add_instruction(CaseBuilder& builder, const Form& form) {
  if ((form.reads & builder.undefined()) != 0) return Added::kNo;
  // What a fault of a gather leaves of the lanes behind it is not defined, nor which flags of MXCSR
  // VCVTPS2PH has set before its store's.
  const bool converts = form.vex_map == 3 && form.opcode[0] == 0x1d;
  if (builder.restricted() && (form.setup == Setup::kGather || converts)) return Added::kNo;
  // How long an undefined instruction is, is not defined either.
  if (form.vex && form.system && builder.next_address() % kPage > kPage - 16) return Added::kNo;
  Rng& rng = builder.rng;
  Plan plan;
  plan.form = &form;
  choose_width(rng, plan);
  choose_registers(rng, plan);
  choose_immediate(rng, plan);
  if (!prepare_registers(builder, plan)) return Added::kNo;
  if (plan.memory) choose_memory(builder, plan);
  if (plan.memory) prepare_memory(builder, plan);
  choose_prefixes(rng, plan);
  builder.append(plan);
  return plan.ends_case || form.system ? Added::kLast : Added::kYes;
}

void choose_start(Rng& rng, CpuCase& test) {
  CpuState& start = test.start;
  for (uint64_t& reg : start.gpr) reg = integer_value(rng);
  start.gpr[kRsp] = kData + kPage + (rng.below(1024) & ~7u);
  start.rflags = 0x202 | (rng.next() & kStatusFlags);
  if (rng.chance(15)) start.rflags |= kFlagD;
  start.fs_base = kData + (rng.next() & 0xfff);
  start.gs_base = rng.chance(50) ? kData - (rng.next() & 0xffffff) : rng.next() & 0x7fffffffffff;
  fill_fx(rng, start.fx);
  start.upper = {};
  if (host_has_v3() && rng.chance(80)) fill_upper(rng, start.upper);
  fill_data(rng, test.data);
}

// Mostly within a page, at times across the two, at times into the unmapped page behind them.
uint64_t choose_rip(Rng& rng) {
  const uint32_t kind = rng.below(100);
  if (kind < 88) return kCode + rng.below(3900);
  if (kind < 96) return kCode + kPage - 1 - rng.below(24);
  return kCodeEnd - 1 - rng.below(32);
}

}  // namespace

void generate(const GeneratorOptions& options, uint64_t index, CpuCase& test) {
  Rng rng(options.seed, index);
  test.code_length = test.insn_count = test.ignored_count = 0;
  test.fault_check = FaultCheck::kExact;
  test.loose_x87_top = test.writes_code = false;
  test.access = {};
  choose_start(rng, test);
  test.start.rip = choose_rip(rng);
  CaseBuilder builder(test, rng, options);
  BlockShape shape(builder);
  if (builder.long_cases) shape.restrict_pages(test);
  const uint32_t wanted = 1 + (rng.chance(60) ? rng.below(options.longest) : 0);
  const uint32_t attempts = 3 * options.longest;
  for (uint32_t attempt = 0; attempt < attempts && test.insn_count < wanted && !builder.full();
       ++attempt) {
    if (builder.long_cases && options.only.empty() && shape.add()) continue;
    const Form* form = options.only.empty() ? &choose_form(rng) : choose_only(rng, options.only);
    if (form == nullptr || add_instruction(builder, *form) == Added::kLast) break;
  }
  shape.finish();
}

}  // namespace husk::cpu_diff
