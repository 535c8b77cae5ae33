#include "contract/x86/flat_state.h"

namespace husk::contract::x86 {
namespace {

constexpr uint64_t kCr0Pe = 1, kCr0Et = 0x10;
constexpr uint16_t kBusyTss = 11;  // Intel SDM vol. 3, table 3-2

Segment flat(uint16_t selector, uint16_t kind) {
  constexpr uint16_t kCommon =
      kSegPresent | kSegNotSystem | kSegWritable | kSegAccessed | kSegGranular;
  return {selector, static_cast<uint16_t>(kCommon | kind), 0xffffffff, 0};
}

}  // namespace

VcpuState flat_state(CodeSize size, FlatSelectors selectors) {
  VcpuState state;
  state.segments.fill(flat(selectors.data, kSegBig));
  // L and D together are reserved.
  const uint16_t width = size == CodeSize::k64 ? kSegLong : kSegBig;
  state.segments[kCs] = flat(selectors.code, kSegCode | width);
  state.tr = {selectors.task, kSegPresent | kBusyTss, 0x67, 0};  // as VM entry wants it
  state.cr0 = kCr0Pe | kCr0Et;
  return state;
}

}  // namespace husk::contract::x86
