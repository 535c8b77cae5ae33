// The registers of x86-64 for GDB, and its walk of page tables.
#pragma once

#include <vector>

#include "husk/error.h"

#include "contract/x86/vcpu_state.h"
#include "gdb/registers.h"
#include "memory/guest_memory.h"

namespace husk::gdb::x86_64 {

using VcpuState = contract::x86::VcpuState;

// The places are within `state`.
[[nodiscard]] std::vector<Feature> features(VcpuState& state);
[[nodiscard]] const Architecture& architecture();

// The physical address of `linear` by the paging that the vCPU is in, whatever its rights; no bit
// of the tables is set. Intel SDM vol. 3, chapter 4.
[[nodiscard]] Result<Gpa> translate(const VcpuState& state, const memory::GuestMemory& memory,
                                    uint64_t linear);

}  // namespace husk::gdb::x86_64
