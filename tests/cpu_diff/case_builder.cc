#include "cpu_diff/case_builder.h"

#include <algorithm>
#include <cstring>

namespace husk::cpu_diff {
namespace {
constexpr uint8_t kRsp = 4;
}

bool CaseBuilder::set(uint8_t reg, uint64_t new_value) {
  if (!settable(reg)) return known(reg) && value(reg) == new_value;
  test_.start.gpr[reg] = new_value;
  relied_on_ = static_cast<uint16_t>(relied_on_ | 1u << reg);
  return true;
}

void CaseBuilder::patch(uint64_t address, const void* bytes, size_t size) {
  const auto* source = static_cast<const uint8_t*>(bytes);
  for (size_t i = 0; i < size; ++i) {
    const uint64_t offset = address + i - kData;
    if (offset < kDataSize) test_.data[offset] = source[i];
  }
}

void CaseBuilder::set_vector(uint8_t reg, std::span<const uint8_t, 32> value) {
  std::memcpy(&test_.start.fx[160 + reg * 16u], value.data(), 16);
  std::memcpy(&test_.start.upper[reg * 16u], &value[16], 16);
}

uint64_t CaseBuilder::peek(uint64_t address) const {
  uint64_t value = 0;
  const uint64_t offset = address - kData;
  if (offset < kDataSize)
    std::memcpy(&value, &test_.data[offset], std::min<uint64_t>(8, kDataSize - offset));
  return value;
}

void CaseBuilder::ignore(uint64_t start, uint64_t length) {
  if (test_.ignored_count < test_.ignored.size())
    test_.ignored[test_.ignored_count++] = {start, length};
}

bool CaseBuilder::full() const {
  return test_.insn_count == CpuCase::kMaxInsns || test_.code_length + 16u > CpuCase::kMaxCode;
}

void CaseBuilder::append(const Plan& plan) {
  const Form& form = *plan.form;
  const auto room = std::span(test_.code).subspan(test_.code_length);
  const uint8_t length = encode(plan, next_address(), room);
  const bool repeats_compare = plan.repeat != 0 && (form.opcode[0] & 0xf6) == 0xa6;
  const uint32_t defined = repeats_compare ? 0 : form.defines;  // there may be no iteration
  const uint32_t undefined = form.undefined | plan.undefined;
  undefined_ = (undefined_ & ~defined) | undefined;
  test_.insns[test_.insn_count++] = {test_.code_length, length, undefined, defined};
  if (form.rm_file == RegFile::kMmx || form.reg_file == RegFile::kMmx) test_.loose_x87_top = true;
  test_.code_length = static_cast<uint8_t>(test_.code_length + length);
  uint32_t written = 0;
  // AH..BH are parts of registers 0..3, whatever else the field may mean.
  if (form.modrm || form.opcode_register) written |= 1u << plan.reg | 1u << (plan.reg & 3);
  if (form.vex_register) written |= 1u << plan.vvvv;
  if (form.modrm && !plan.memory) written |= 1u << plan.rm | 1u << (plan.rm & 3);
  const bool moves_stack = form.setup == Setup::kPush || form.setup == Setup::kPop;
  const bool implicitly = (form.touches >> kRsp & 1) != 0;
  if ((written >> kRsp & 1) != 0 || (implicitly && !moves_stack)) stack_trusted = false;
  changed_ = static_cast<uint16_t>(changed_ | written | form.touches);
}

void CaseBuilder::append_bytes(std::span<const uint8_t> bytes, uint16_t changed) {
  std::ranges::copy(bytes, test_.code.begin() + test_.code_length);
  test_.insns[test_.insn_count++] = {test_.code_length, static_cast<uint8_t>(bytes.size()), 0, 0};
  test_.code_length = static_cast<uint8_t>(test_.code_length + bytes.size());
  changed_ = static_cast<uint16_t>(changed_ | changed);
}

void CaseBuilder::patch_code(size_t offset, const void* bytes, size_t size) {
  std::memcpy(&test_.code[offset], bytes, size);
}

bool CaseBuilder::repeatable() const {
  const uint32_t moved = changed_ & relied_on_ & ~(stack_trusted ? 1u << kRsp : 0u);
  return moved == 0 && undefined_ == 0 && segment_bases_known;
}

bool CaseBuilder::restricted() const {
  return std::ranges::any_of(test_.access, [](PageAccess a) { return a != PageAccess::kWrite; });
}

}  // namespace husk::cpu_diff
