// The contract suite's guests on x86-64: 64-bit code with paging, 1 GiB mapped to itself.
#pragma once

#include <array>
#include <optional>

#include "husk/seam.h"

#include "base/clock.h"
#include "contract/x86/flat_state.h"
#include "memory/guest_memory.h"
#include "platform/chipset.h"
#include "runtime/alarm_thread.h"
#include "wiring.h"

namespace husk::contract_tests {

constexpr uint64_t kRamBase = 0;
constexpr uint64_t kTables = 0x1000;  // and two pages more
constexpr bool kHasPorts = true;

constexpr std::array<seam::CoreReg, 4> kArguments{seam::CoreReg::x(7), seam::CoreReg::x(6),
                                                  seam::CoreReg::x(2), seam::CoreReg::x(1)};
constexpr seam::CoreReg kReportRegister = seam::CoreReg::x(3);
constexpr seam::CoreReg kCounter = seam::CoreReg::x(0);  // of program_spin

// Where each instruction of program_steps is: counts, stores, does nothing, reports, jumps.
constexpr std::array<uint64_t, 5> kSteps{0, 3, 6, 7, 10};
constexpr bool kWatchpointIsBehind = true;  // the access
// What a debugger puts over an instruction, and what program_steps has where it does nothing.
constexpr std::array<uint8_t, 1> kBreak{0xcc}, kNop{0x90};

// One that every backend that lets hypercalls out lets out, and what answers those that nobody
// knows (Linux, Documentation/virt/kvm/x86/hypercalls.rst: KVM_HC_MAP_GPA_RANGE, KVM_ENOSYS).
constexpr uint64_t kHypercall = 12, kNotSupported = -uint64_t{1000}, kNotPermitted = -uint64_t{1};
// What a VM is given that leaves interrupt controllers and timer to the board. They are on no bus:
// the guests here use none.
class Chips {
 public:
  template <class Vm>
  explicit Chips(Vm& vm) {
    contract::InterruptSink* const sink = runtime::sink_of(vm);
    if (sink == nullptr) return;
    chipset_.emplace(*sink, alarms_, base::monotonic_ns);
    vm.attach_controller(*chipset_);
  }

 private:
  runtime::AlarmThread alarms_;
  std::optional<platform::Chipset> chipset_;
};

using EntryState = contract::x86::VcpuState;

// Page tables for [0, 4 GiB) in pages of 2 MiB at kTables would take five pages; device space lies
// below 1 GiB here, so that three do.
inline Result<EntryState> entry_state(memory::GuestMemory& memory, uint64_t rip, uint64_t stack) {
  using namespace contract::x86;  // NOLINT(google-build-using-namespace)
  constexpr uint64_t kPdpt = kTables + 0x1000, kDirectory = kTables + 0x2000;
  auto stored = memory.store<uint64_t>(Gpa{kTables}, kPdpt | 3);
  if (stored) stored = memory.store<uint64_t>(Gpa{kPdpt}, kDirectory | 3);
  for (uint64_t i = 0; i < 512 && stored; ++i)
    stored = memory.store<uint64_t>(Gpa{kDirectory + i * 8}, i << 21 | 0x83);
  if (!stored) return std::unexpected(stored.error());
  EntryState state = flat_state(CodeSize::k64);
  state.cr0 |= 0x80000020;  // PG NE
  state.cr3 = kTables;
  state.cr4 = 0x620;   // PAE OSFXSR OSXMMEXCPT
  state.efer = 0x500;  // LMA LME
  state.rip = rip;
  state.gpr[4] = stack;
  return state;
}

// Makes it ring 3's. False: its kernel cannot let user code make hypercalls.
inline bool make_user(EntryState& state, memory::GuestMemory& memory) {
  using namespace contract::x86;  // NOLINT(google-build-using-namespace)
  constexpr uint16_t kLevel3 = 3 << 5;
  for (Segment& segment : state.segments) {
    segment.attributes |= kLevel3;
    segment.selector |= 3;
  }
  bool stored = true;
  for (uint64_t entry = kTables; entry < kTables + 0x3000; entry += 8)
    stored &=
        memory.store<uint64_t>(Gpa{entry}, *memory.load<uint64_t>(Gpa{entry}) | 4).has_value();
  return stored;
}

// Values for a guest's own debug registers: nothing of them is turned on.
inline std::array<uint64_t, 5> debug_registers(const EntryState& state) {
  return {state.dr[0], state.dr[1], state.dr[2], state.dr[3], state.dr7};
}
inline std::array<uint64_t, 5> set_debug_registers(EntryState& state) {
  state.dr = {0x1111, 0x2222, 0x3333, 0x4444};
  state.dr7 = 0x400;
  return debug_registers(state);
}
constexpr auto kPcOfState = &EntryState::rip;
// Processors of this architecture see what is written.
inline void publish_code(const memory::GuestMemory&, uint64_t) {}

// A state that no backend takes: a hypervisor's.
inline std::array<EntryState, 2> hypervisors(const EntryState& plain) {
  std::array states{plain, plain};
  states[0].efer |= 1u << 12;
  states[1].cr4 |= 1u << 13;
  return states;
}

}  // namespace husk::contract_tests
