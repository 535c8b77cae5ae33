// Register states that boot protocols ask for.
#pragma once

#include "contract/x86/vcpu_state.h"
#include "memory/guest_memory.h"

namespace husk::boot {

// 64-bit code with flat segments, paging on, the first 4 GiB mapped to themselves; writes GDT and
// page tables (Linux, Documentation/arch/x86/boot.rst, "64-bit boot protocol").
[[nodiscard]] Result<contract::x86::VcpuState> long_mode_entry(memory::GuestMemory& memory,
                                                               uint64_t rip);

// 32-bit protected mode with flat segments, paging off (PVH and Multiboot ask for the same).
[[nodiscard]] Result<contract::x86::VcpuState> protected_mode_entry(memory::GuestMemory& memory,
                                                                    uint32_t eip);

}  // namespace husk::boot
