// The contract suite's guests on aarch64: EL1 with its own stack pointer, the MMU and both caches
// on, 1 GiB mapped to itself.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "husk/seam.h"

#include "backend/kvm/aarch64/one_reg.h"
#include "contract/aarch64/vcpu_state.h"
#include "memory/guest_memory.h"

namespace husk::contract_tests {

constexpr uint64_t kRamBase = 0x4000'0000;
constexpr uint64_t kTables = kRamBase + 0x1000;
constexpr bool kHasPorts = false;

constexpr std::array<seam::CoreReg, 4> kArguments{seam::CoreReg::x(0), seam::CoreReg::x(1),
                                                  seam::CoreReg::x(2), seam::CoreReg::x(3)};
constexpr seam::CoreReg kReportRegister = seam::CoreReg::x(4);
constexpr seam::CoreReg kCounter = seam::CoreReg::x(9);  // of program_spin

// Where each instruction of program_steps is: counts, stores, does nothing, reports, jumps.
constexpr std::array<uint64_t, 5> kSteps{0, 4, 8, 12, 16};
constexpr bool kWatchpointIsBehind = false;  // the access
// What a debugger puts over an instruction (BRK #0), and what program_steps has where it does
// nothing.
constexpr std::array<uint8_t, 4> kBreak{0x00, 0x00, 0x20, 0xd4}, kNop{0x1f, 0x20, 0x03, 0xd5};

// In the range of vendors' hypervisor services, and SMCCC's answer to what nobody knows (Arm
// DEN0028, 5.1 and table 2-1).
constexpr uint64_t kHypercall = 0xc600'1234, kNotSupported = -uint64_t{1}, kNotPermitted = 0;
// The GIC is the VM's.
struct Chips {
  template <class Vm>
  explicit Chips(Vm&) {}
};

using EntryState = contract::aarch64::VcpuState;

inline void set_register(EntryState& state, uint64_t id, uint64_t value) {
  contract::aarch64::Register reg{id, std::vector<std::byte>(sizeof(value))};
  std::memcpy(reg.value.data(), &value, sizeof(value));
  state.registers.push_back(std::move(reg));
}

// The registers that turn translation on (DDI 0487, D19.2). With the MMU off, guests would go past
// the caches, where a processor may show them memory as it was before the host's last write.
inline void set_translation(EntryState& state) {
  using kvm::system_reg_id;
  constexpr uint64_t kReserved = 0x30c5'0838;  // SCTLR's bits that are one where they mean nothing
  constexpr uint64_t kMmu = 1, kDataCache = 1 << 2, kInstructionCache = 1 << 12;
  constexpr uint64_t kFloatingPoint = 3 << 20;  // CPACR.FPEN: not trapped
  // 32 bits of address, tables cached and shared; no TTBR1.
  constexpr uint64_t kTcr = 32 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23;
  constexpr uint64_t kNormal = 0xff;  // MAIR's attribute 0: write-back
  set_register(state, kvm::kSctlrEl1, kReserved | kMmu | kDataCache | kInstructionCache);
  set_register(state, system_reg_id(3, 0, 1, 0, 2), kFloatingPoint);
  set_register(state, system_reg_id(3, 0, 2, 0, 0), kTables);
  set_register(state, system_reg_id(3, 0, 2, 0, 2), kTcr);
  set_register(state, system_reg_id(3, 0, 10, 2, 0), kNormal);
}

// Instructions that the host wrote are data until it says so (DDI 0487, B2.4.4).
inline void publish_code(const memory::GuestMemory& memory, uint64_t pc) {
  auto* code = reinterpret_cast<char*>(memory.regions()[0].host + (pc - kRamBase));
  __builtin___clear_cache(code, code + 4096);
}

// The table's second entry is a block for [1 GiB, 2 GiB), in which RAM and device space lie; both
// are ordinary memory to it, as tests put memory where devices would be.
inline Result<EntryState> entry_state(memory::GuestMemory& memory, uint64_t pc, uint64_t stack) {
  constexpr uint64_t kBlock = 1, kAccessed = 1 << 10, kInnerShareable = 3 << 8;
  for (uint64_t i = 0; i < 4; ++i) {
    const uint64_t entry = i == 1 ? kRamBase | kAccessed | kInnerShareable | kBlock : 0;
    auto stored = memory.store<uint64_t>(Gpa{kTables + i * 8}, entry);
    if (!stored) return std::unexpected(stored.error());
  }
  publish_code(memory, pc);
  using namespace contract::aarch64;  // NOLINT(google-build-using-namespace)
  EntryState state;
  state.pc = pc;
  state.pstate = kPstateEl1h | kPstateD | kPstateA | kPstateI | kPstateF;
  set_register(state, kvm::core_reg_id(offsetof(kvm_regs, sp_el1), KVM_REG_SIZE_U64), stack);
  set_translation(state);
  return state;
}

constexpr auto kPcOfState = &EntryState::pc;

// DBGBVR0, DBGBCR0, DBGWVR0 and DBGWCR0 (DDI 0487, D19.3).
inline std::vector<contract::aarch64::Register*> debug_registers_of(EntryState& state) {
  std::vector<contract::aarch64::Register*> found;
  for (contract::aarch64::Register& one : state.registers)
    if (one.id >= kvm::system_reg_id(2, 0, 0, 0, 4) && one.id <= kvm::system_reg_id(2, 0, 0, 0, 7))
      found.push_back(&one);
  return found;
}
inline std::array<uint64_t, 4> debug_registers(EntryState state) {
  std::array<uint64_t, 4> values{};
  const auto found = debug_registers_of(state);
  for (size_t i = 0; i < std::min(found.size(), values.size()); ++i)
    std::memcpy(&values[i], found[i]->value.data(), sizeof(uint64_t));
  return values;
}
// Addresses that nothing is at, and points that are off.
inline std::array<uint64_t, 4> set_debug_registers(EntryState& state) {
  constexpr std::array<uint64_t, 4> kValues{0x1110, 0x1e6, 0x2220, 0xff6};
  const auto found = debug_registers_of(state);
  for (size_t i = 0; i < std::min(found.size(), kValues.size()); ++i)
    std::memcpy(found[i]->value.data(), &kValues[i], sizeof(uint64_t));
  return kValues;
}

// HVC is undefined at EL0 (DDI 0487, C6.2.106).
inline bool make_user(EntryState&, memory::GuestMemory&) { return false; }

// A state that no backend takes: a hypervisor's, at EL2.
inline std::array<EntryState, 1> hypervisors(const EntryState& plain) {
  std::array states{plain};
  states[0].pstate = (plain.pstate & ~uint64_t{15}) | 9;
  return states;
}

}  // namespace husk::contract_tests
