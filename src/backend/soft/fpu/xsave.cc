// XSAVE's area: what is written of it, and what is taken from it.
#include <algorithm>

#include "backend/soft/fpu/image.h"

namespace husk::soft::fpu {

namespace {

constexpr size_t kMxcsrEnd = FpuState::kMxcsr + 8, kX87End = kRegisters + kRegistersSize;
constexpr size_t kXmmEnd = FpuState::kXmm + 256;
constexpr size_t kComponentsAt = kXsaveLegacy, kCompactedAt = kXsaveLegacy + 8,
                 kReservedEnd = kXsaveLegacy + 24;

bool same(const FpuState& a, const FpuState& b, size_t begin, size_t end) {
  return std::equal(a.image.begin() + begin, a.image.begin() + end, b.image.begin() + begin);
}

// XINUSE. MXCSR is part of no component here.
uint64_t in_use(const FpuState& state) {
  const FpuState initial;
  uint64_t components = 0;
  if (!same(state, initial, 0, FpuState::kMxcsr) || !same(state, initial, kMxcsrEnd, kX87End))
    components |= kXcr0X87;
  if (!same(state, initial, FpuState::kXmm, kXmmEnd)) components |= kXcr0Sse;
  return has_upper(state) ? components | kXcr0Avx : components;
}

void take(FpuState& state, const uint8_t* area, size_t begin, size_t end) {
  std::copy(area + begin, area + end, state.image.begin() + begin);
}

}  // namespace

bool has_upper(const FpuState& state) {
  return std::ranges::any_of(state.upper, [](uint8_t byte) { return byte != 0; });
}

std::array<SavedBytes, kSavedPieces> save_extended(const FpuState& state, uint64_t mask,
                                                   uint8_t* area) {
  const bool x87 = (mask & kXcr0X87) != 0, sse = (mask & kXcr0Sse) != 0,
             avx = (mask & kXcr0Avx) != 0;
  const auto piece = [](bool wanted, size_t begin, size_t end) {
    return SavedBytes{begin, wanted ? end : begin};
  };
  const std::array<SavedBytes, kSavedPieces> pieces{
      piece(x87, 0, FpuState::kMxcsr),     piece(sse || avx, FpuState::kMxcsr, kMxcsrEnd),
      piece(x87, kRegisters, kX87End),     piece(sse, FpuState::kXmm, kXmmEnd),
      piece(avx, kXsaveUpper, kXsaveArea), piece(true, kComponentsAt, kCompactedAt)};
  for (const auto [begin, end] : std::span(pieces).first(4))
    std::copy(state.image.begin() + begin, state.image.begin() + end, area + begin);
  if (avx) std::ranges::copy(state.upper, area + kXsaveUpper);
  uint64_t components = 0;
  std::memcpy(&components, area + kComponentsAt, sizeof components);
  components = (components & ~mask) | (in_use(state) & mask);
  std::memcpy(area + kComponentsAt, &components, sizeof components);
  return pieces;
}

bool restore_extended(FpuState& state, uint64_t mask, uint64_t enabled, const uint8_t* area) {
  const FpuState initial;
  FpuState loaded = state;
  uint64_t components = 0;
  std::memcpy(&components, area + kComponentsAt, sizeof components);
  const bool reserved =
      std::any_of(area + kCompactedAt, area + kReservedEnd, [](uint8_t byte) { return byte != 0; });
  if (reserved || (components & ~enabled) != 0) return false;
  const auto source = [&](uint64_t component) {
    return (components & component) != 0 ? area : initial.image.data();
  };
  if ((mask & kXcr0X87) != 0) {
    take(loaded, source(kXcr0X87), 0, FpuState::kMxcsr);
    take(loaded, source(kXcr0X87), kRegisters, kX87End);
  }
  if ((mask & (kXcr0Sse | kXcr0Avx)) != 0) take(loaded, area, FpuState::kMxcsr, kMxcsrEnd);
  if ((mask & kXcr0Sse) != 0) take(loaded, source(kXcr0Sse), FpuState::kXmm, kXmmEnd);
  if ((mask & kXcr0Avx) != 0) {
    loaded.upper = {};
    if ((components & kXcr0Avx) != 0)
      std::copy_n(area + kXsaveUpper, loaded.upper.size(), loaded.upper.begin());
  }
  if ((mxcsr(loaded) & ~kMxcsrValid) != 0) return false;
  settle(loaded);
  state = loaded;
  return true;
}

}  // namespace husk::soft::fpu
