// Stops for a debugger: steps, breakpoints, watchpoints.
#pragma once

#include <cstdlib>
#include <optional>

#include "suite.h"

namespace husk::contract_tests {

using DebugKind = DebugPoint::Kind;

template <class Vm>
class Debug : public BackendTest<Vm> {
 protected:
  void SetUp() override {
    BackendTest<Vm>::SetUp();
    if (!this->IsSkipped()) machine_.emplace();
  }
  Machine<Vm>& machine() { return *machine_; }

  // Asks for stops; or why there are none.
  std::string ask(const DebugOptions& options) {
    if constexpr (seam::HasDebug<typename Vm::Vcpu>) {
      const auto set = machine().vcpu().set_debug(options);
      if (set) return {};
      EXPECT_EQ(set.error().kind, ErrorKind::kUnsupported) << set.error().message();
      return set.error().message();
    }
    return "this backend does not stop for a debugger";
  }
  // The next exit is a stop for this reason there, and the guest is between two instructions.
  void expect_stop(DebugCause cause, uint64_t addr) {
    const seam::VcpuExit exit = machine().next();
    ASSERT_EQ(exit.kind, seam::VcpuExit::Kind::kDebug) << "raw " << exit.raw;
    EXPECT_EQ(exit.cause, cause);
    EXPECT_EQ(exit.virt_addr, addr);
    if (cause == DebugCause::kWatchpoint) return;
    EXPECT_EQ(*machine().vcpu().get_core(seam::CoreReg::pc()), addr);
  }
  [[nodiscard]] uint64_t counter() { return *machine().vcpu().get_core(kCounter); }
  void put(uint64_t addr, std::span<const uint8_t> instruction) {
    ASSERT_TRUE(machine().memory->write(Gpa{addr}, std::as_bytes(instruction)));
    publish_code(*machine().memory, addr);
  }

 private:
  std::optional<Machine<Vm>> machine_;
};
TYPED_TEST_SUITE_P(Debug);

#define HUSK_ASK(...) \
  if (const std::string why = this->ask(__VA_ARGS__); !why.empty()) GTEST_SKIP() << why

// What a KVM without hardware behind it does not do: it has no data breakpoints, and no INT3.
#define HUSK_NEEDS_HARDWARE() \
  if (const std::string why = limits<TypeParam>(); !why.empty()) GTEST_SKIP() << why

// A lab whose processor does not do what the architecture says tells why, and is not asked.
#define HUSK_NEEDS_BREAKPOINTS() \
  if (const char* why = std::getenv("HUSK_NO_BREAKPOINTS"); why != nullptr) GTEST_SKIP() << why

constexpr uint64_t kNopAt = kCode + kSteps[2];

inline DebugOptions break_at(uint64_t addr) { return {.points = {{DebugKind::kExecute, 1, addr}}}; }

TYPED_TEST_P(Debug, StepsAreOneInstruction) {
  this->machine().load(PROGRAM(steps), {kData});
  HUSK_ASK({.single_step = true});
  for (uint64_t round = 1; round < 4; ++round) {
    for (size_t i = 1; i < 4; ++i) this->expect_stop(DebugCause::kStep, kCode + kSteps[i]);
    EXPECT_EQ(this->machine().report(), round) << "in the middle of its instruction";
    this->expect_stop(DebugCause::kStep, kCode + kSteps[4]);
    this->expect_stop(DebugCause::kStep, kCode);
  }
  ASSERT_EQ(this->ask({}), "");
  for (uint64_t round = 4; round < 6; ++round) EXPECT_EQ(this->machine().report(), round);
}

TYPED_TEST_P(Debug, ASnapshotMayBeTakenWhereAStepEnds) {
  this->machine().load(PROGRAM(steps), {kData});
  HUSK_ASK({.single_step = true});
  for (size_t i = 1; i < 4; ++i) this->expect_stop(DebugCause::kStep, kCode + kSteps[i]);
  EXPECT_EQ(this->machine().report(), 1U);
  const auto state = this->machine().vcpu().capture_snapshot();  // completes the store
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ((*state).*kPcOfState, kCode + kSteps[4]);
  this->expect_stop(DebugCause::kStep, kCode + kSteps[4]);
  this->expect_stop(DebugCause::kStep, kCode);
}

TYPED_TEST_P(Debug, BreakpointsStopBeforeTheirInstruction) {
  HUSK_NEEDS_BREAKPOINTS();
  this->machine().load(PROGRAM(steps), {kData});
  HUSK_ASK(break_at(kNopAt));
  for (uint64_t round = 1; round < 5; ++round) {
    this->expect_stop(DebugCause::kBreakpoint, kNopAt);
    EXPECT_EQ(this->counter(), round);
    EXPECT_EQ(this->machine().report(), round) << "and goes on past it";
  }
  ASSERT_EQ(this->ask({}), "");
  for (uint64_t round = 5; round < 7; ++round) EXPECT_EQ(this->machine().report(), round);
}

TYPED_TEST_P(Debug, ABreakpointIsMetAtEachTurnOfALoop) {
  HUSK_NEEDS_BREAKPOINTS();
  this->machine().load(PROGRAM(spin));
  HUSK_ASK(break_at(kCode));
  for (uint64_t round = 0; round < 100; ++round) {
    this->expect_stop(DebugCause::kBreakpoint, kCode);
    ASSERT_EQ(this->counter(), round);
  }
}

TYPED_TEST_P(Debug, AMovedProgramCounterMeetsItsBreakpoint) {
  HUSK_NEEDS_BREAKPOINTS();
  this->machine().load(PROGRAM(steps), {kData});
  HUSK_ASK({.points = {{DebugKind::kExecute, 1, kNopAt}, {DebugKind::kExecute, 1, kCode}}});
  this->expect_stop(DebugCause::kBreakpoint, kCode);
  this->expect_stop(DebugCause::kBreakpoint, kNopAt);
  ASSERT_TRUE(this->machine().vcpu().set_core(seam::CoreReg::pc(), kNopAt));
  EXPECT_EQ(this->machine().report(), 1U) << "not moved: it goes on";
  this->expect_stop(DebugCause::kBreakpoint, kCode);
  ASSERT_TRUE(this->machine().vcpu().set_core(seam::CoreReg::pc(), kNopAt));
  this->expect_stop(DebugCause::kBreakpoint, kNopAt);
}

TYPED_TEST_P(Debug, BreakpointsAndStepsGoTogether) {
  HUSK_NEEDS_BREAKPOINTS();
  this->machine().load(PROGRAM(steps), {kData});
  DebugOptions options = break_at(kNopAt);
  HUSK_ASK(options);
  this->expect_stop(DebugCause::kBreakpoint, kNopAt);
  options.single_step = true;
  HUSK_ASK(options);
  this->expect_stop(DebugCause::kStep, kCode + kSteps[3]);
}

TYPED_TEST_P(Debug, WatchpointsStopAtWrites) {
  HUSK_NEEDS_BREAKPOINTS();
  HUSK_NEEDS_HARDWARE();
  this->machine().load(PROGRAM(steps), {kData});
  HUSK_ASK({.points = {{DebugKind::kWrite, 8, kData}, {DebugKind::kAccess, 8, kData + 8}}});
  for (uint64_t round = 1; round < 4; ++round) {
    this->expect_stop(DebugCause::kWatchpoint, kData);
    EXPECT_EQ(this->counter(), round);
    EXPECT_EQ(*this->machine().memory->template load<uint64_t>(Gpa{kData}),
              kWatchpointIsBehind ? round : round - 1);
    EXPECT_EQ(this->machine().report(), round) << "and goes on past it";
  }
  ASSERT_EQ(this->ask({}), "");
  EXPECT_EQ(this->machine().report(), 4U);
}

TYPED_TEST_P(Debug, WatchpointsTellReadsFromWrites) {
  HUSK_NEEDS_BREAKPOINTS();
  HUSK_NEEDS_HARDWARE();
  this->machine().load(PROGRAM(load), {kData});
  EXPECT_EQ(this->machine().report(), 0U);
  HUSK_ASK({.points = {{DebugKind::kWrite, 8, kData}}});
  EXPECT_EQ(this->machine().report(), 0U) << "a read is no write";
  HUSK_ASK({.points = {{DebugKind::kAccess, 1, kData + 7}}});
  for (int round = 0; round < 3; ++round) {
    this->expect_stop(DebugCause::kWatchpoint, kData + 7);
    EXPECT_EQ(this->machine().report(), 0U);
  }
}

TYPED_TEST_P(Debug, ADebuggersBreakInstructionStops) {
  HUSK_NEEDS_BREAKPOINTS();
  HUSK_NEEDS_HARDWARE();
  this->machine().load(PROGRAM(steps), {kData});
  HUSK_ASK({.software_breakpoints = true});
  EXPECT_EQ(this->machine().report(), 1U);
  for (uint64_t round = 2; round < 5; ++round) {
    this->put(kNopAt, kBreak);
    this->expect_stop(DebugCause::kSoftwareBreakpoint, kNopAt);
    EXPECT_EQ(this->counter(), round);
    this->put(kNopAt, kNop);
    EXPECT_EQ(this->machine().report(), round);
  }
}

TYPED_TEST_P(Debug, TheGuestsOwnBreakInstructionIsItsOwn) {
  HUSK_NEEDS_BREAKPOINTS();
  HUSK_NEEDS_HARDWARE();
  this->machine().load(PROGRAM(trap), {kData, 111, 222});
  EXPECT_EQ(this->machine().report(), 111U) << "the handler's";
  EXPECT_EQ(this->machine().report(), 222U);
  HUSK_ASK({.software_breakpoints = true});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(this->machine().next().cause, DebugCause::kSoftwareBreakpoint);
    EXPECT_EQ(this->machine().report(), 111U) << "it was still there";
    EXPECT_EQ(this->machine().report(), 222U);
  }
  HUSK_ASK({.points = {{DebugKind::kExecute, 1, kData}}});
  EXPECT_EQ(this->machine().report(), 111U) << "of no interest to a debugger of other places";
  EXPECT_EQ(this->machine().report(), 222U);
  ASSERT_EQ(this->ask({}), "");
  EXPECT_EQ(this->machine().report(), 111U);
}

TYPED_TEST_P(Debug, TheGuestsDebugRegistersAreItsOwn) {
  HUSK_NEEDS_BREAKPOINTS();
  this->machine().load(PROGRAM(debug_registers));
  auto state = this->machine().vcpu().capture_snapshot();
  ASSERT_TRUE(state) << state.error().message();
  const auto expected = set_debug_registers(*state);
  ASSERT_TRUE(this->machine().vcpu().restore_snapshot(*state));
  HUSK_ASK({.points = {{DebugKind::kExecute, 1, kCode}, {DebugKind::kWrite, 8, kData}}});
  for (int round = 0; round < 2; ++round) {
    this->expect_stop(DebugCause::kBreakpoint, kCode);
    for (const uint64_t value : expected) EXPECT_EQ(this->machine().report(), value);
    const auto after = this->machine().vcpu().capture_snapshot();
    ASSERT_TRUE(after) << after.error().message();
    EXPECT_EQ(debug_registers(*after), expected);
  }
}

TYPED_TEST_P(Debug, PointsThatCannotBeAreRefusedAndChangeNothing) {
  HUSK_NEEDS_BREAKPOINTS();
  if constexpr (seam::HasDebug<typename TypeParam::Vcpu>) {
    this->machine().load(PROGRAM(steps), {kData});
    HUSK_ASK(break_at(kNopAt));
    auto& vcpu = this->machine().vcpu();
    for (const DebugOptions& options :
         {DebugOptions{.points = std::vector<DebugPoint>(5)},
          DebugOptions{.points = {{DebugKind::kWrite, 3, kData}}},
          DebugOptions{.points = {{DebugKind::kAccess, 8, kData + 4}}}}) {
      const auto refused = vcpu.set_debug(options);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidArgument);
    }
    this->expect_stop(DebugCause::kBreakpoint, kNopAt);
  } else {
    GTEST_SKIP() << "this backend does not stop for a debugger";
  }
}

#undef HUSK_ASK
#undef HUSK_NEEDS_HARDWARE
#undef HUSK_NEEDS_BREAKPOINTS

REGISTER_TYPED_TEST_SUITE_P(Debug, StepsAreOneInstruction, ASnapshotMayBeTakenWhereAStepEnds,
                            BreakpointsStopBeforeTheirInstruction,
                            ABreakpointIsMetAtEachTurnOfALoop,
                            AMovedProgramCounterMeetsItsBreakpoint, BreakpointsAndStepsGoTogether,
                            WatchpointsStopAtWrites, WatchpointsTellReadsFromWrites,
                            ADebuggersBreakInstructionStops, TheGuestsOwnBreakInstructionIsItsOwn,
                            TheGuestsDebugRegistersAreItsOwn,
                            PointsThatCannotBeAreRefusedAndChangeNothing);

}  // namespace husk::contract_tests
