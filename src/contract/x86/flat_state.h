// Where a boot loader leaves a processor, which most entry states begin with: protected mode, no
// paging, segments that hold all of the address space.
#pragma once

#include <cstdint>

#include "contract/x86/vcpu_state.h"

namespace husk::contract::x86 {

enum class CodeSize : uint8_t { k32, k64 };

struct FlatSelectors {
  uint16_t code = 0x08, data = 0x10, task = 0x18;
};

// 64-bit code besides needs CR0, CR3, CR4 and EFER of long mode. The tables that the selectors
// point into are the caller's matter.
[[nodiscard]] VcpuState flat_state(CodeSize size, FlatSelectors selectors = {});

}  // namespace husk::contract::x86
