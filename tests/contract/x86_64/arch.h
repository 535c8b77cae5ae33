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

}  // namespace husk::contract_tests
