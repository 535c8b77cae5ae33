// The registers of aarch64 for GDB, and its walk of translation tables.
#pragma once

#include <vector>

#include "husk/error.h"

#include "contract/aarch64/vcpu_state.h"
#include "gdb/registers.h"
#include "memory/guest_memory.h"

namespace husk::gdb::aarch64 {

using VcpuState = contract::aarch64::VcpuState;

// The places are within `state`.
[[nodiscard]] std::vector<Feature> features(VcpuState& state);
[[nodiscard]] const Architecture& architecture();

// The physical address of `address` by EL1's stage 1, whatever its rights. Arm ARM, DDI 0487, D8.
[[nodiscard]] Result<Gpa> translate(const VcpuState& state, const memory::GuestMemory& memory,
                                    uint64_t address);

// Registers without a field in the state, by their ids; 0 where it has none.
inline constexpr uint64_t kSpEl1 = 0x6030'0000'0010'0044;
[[nodiscard]] constexpr uint64_t system_register(uint64_t op0, uint64_t op1, uint64_t crn,
                                                 uint64_t crm, uint64_t op2) {
  return 0x6030'0000'0013'0000 | op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
}
inline constexpr uint64_t kSctlrEl1 = system_register(3, 0, 1, 0, 0);
inline constexpr uint64_t kTtbr0El1 = system_register(3, 0, 2, 0, 0);
inline constexpr uint64_t kTtbr1El1 = system_register(3, 0, 2, 0, 1);
inline constexpr uint64_t kTcrEl1 = system_register(3, 0, 2, 0, 2);

[[nodiscard]] std::span<std::byte> place_of(VcpuState& state, uint64_t id);
[[nodiscard]] uint64_t value_of(const VcpuState& state, uint64_t id);

}  // namespace husk::gdb::aarch64
