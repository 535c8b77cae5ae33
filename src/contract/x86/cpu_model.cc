#include "contract/x86/cpu_model.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/try.h"
#include "contract/x86/cpu_features.h"
#include "contract/x86/portable_cpuid.h"

namespace husk::contract::x86 {
namespace {

constexpr uint64_t kX87 = 1, kSse = 2;

Level level_of(CpuModel model) { return model == CpuModel::kX86_64V3 ? Level::kV3 : Level::kV2; }

// "GenuineIntel"
std::string vendor(const CpuidTable& table) {
  const CpuidEntry* entry = find(table, 0);
  if (entry == nullptr) return "no vendor";
  std::string text(12, ' ');
  for (const size_t part : {0, 1, 2}) {
    constexpr CpuidRegister kOrder[] = {kEbx, kEdx, kEcx};
    std::memcpy(text.data() + part * 4, &entry->regs[kOrder[part]], 4);
  }
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

std::unexpected<Error> lacks(std::string subject, const std::string& what) {
  return fail(ErrorKind::kUnsupported, std::move(subject), "has no " + what);
}

// The header's XSTATE_BV (SDM vol. 1, 13.4.2): which components are not in their initial state.
uint64_t components_in(const std::vector<uint8_t>& xsave) {
  uint64_t bits = 0;
  if (xsave.size() >= sizeof(bits)) std::memcpy(&bits, xsave.data(), sizeof(bits));
  return bits;
}

}  // namespace

Result<void> require_model(const CpuidTable& can, CpuModel model, const std::string& subject) {
  if (model == CpuModel::kHost) return {};
  for (const Feature& feature : features()) {
    if (feature.level > level_of(model)) continue;
    const FeatureWord& at = feature.word;
    if ((word(can, at.leaf, at.subleaf, at.reg) >> feature.bit & 1) == 0)
      return fail(ErrorKind::kUnsupported, subject,
                  fmt::format("cannot show a guest {}: it has no {}", name(model), feature.name));
  }
  return {};
}

CpuidTable shown_cpuid(const CpuidTable& can, CpuModel model) {
  if (model == CpuModel::kHost) return can;
  return portable_cpuid(can, level_of(model), name(model));
}

Result<void> require_features(const CpuidTable& was, const CpuidTable& now) {
  constexpr const char* kSubject = "the processor of this machine";
  for (const FeatureWord& at : feature_words()) {
    const uint32_t missing = word(was, at.leaf, at.subleaf, at.reg) &
                             ~word(now, at.leaf, at.subleaf, at.reg) & ~changing_bits(at);
    if (missing != 0)
      return lacks(kSubject, feature_name(at, static_cast<uint8_t>(std::countr_zero(missing))) +
                                 ", which the guest was shown");
  }
  const uint32_t wanted = word(was, 0x80000008, 0, kEax) & 0xff;
  if (wanted > (word(now, 0x80000008, 0, kEax) & 0xff))
    return lacks(kSubject,
                 fmt::format("{}-bit physical addresses, which the guest was shown", wanted));
  return {};
}

Result<void> require_no_less(const CpuidTable& was, const CpuidTable& now) {
  if (vendor(was) != vendor(now))
    return fail(ErrorKind::kUnsupported, "the processor of this machine",
                fmt::format("is of {}, and the guest was shown {}", vendor(now), vendor(was)));
  return require_features(was, now);
}

uint64_t xcr0_mask(const CpuidTable& table) {
  return word(table, 0xd, 0, kEax) | uint64_t{word(table, 0xd, 0, kEdx)} << 32 | kX87;
}

size_t xsave_rest(const CpuidTable& table) {
  constexpr size_t kLegacy = 512;
  size_t end = 0;
  for (uint32_t component = 2; component < 63; ++component) {
    if ((xcr0_mask(table) >> component & 1) == 0) continue;
    const size_t size = word(table, 0xd, component, kEax), at = word(table, 0xd, component, kEbx);
    end = std::max(end, at + size);
  }
  return end > kLegacy ? end - kLegacy : 0;
}

Result<void> require_components(const VcpuState& state, const CpuidTable& table) {
  const uint64_t missing = (state.xcr0 | (components_in(state.xsave) & ~kSse)) & ~xcr0_mask(table);
  if (missing == 0) return {};
  const auto bit = static_cast<uint8_t>(std::countr_zero(missing));
  const FeatureWord at{0xd, 0, bit < 32 ? kEax : kEdx};
  return lacks("the processor of this machine",
               feature_name(at, bit % 32) + ", which the vCPU's state has");
}

}  // namespace husk::contract::x86
