// What the contract's debug suite cannot ask of every backend: faults, halts and interrupts under a
// debugger, to the instruction.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "backend/soft/soft_vm.h"

namespace husk::soft {
namespace {

using Kind = DebugPoint::Kind;

constexpr uint64_t kCode = 0x1000, kHandler = 0x2000, kData = 0x3000;

// A vCPU in real mode at 0000:1000. Every exception's handler is at 0000:2000: out 81h,al; iret.
class SoftDebug : public ::testing::Test {
 protected:
  SoftDebug() {
    ram.fill({});
    for (size_t vector = 0; vector < 32; ++vector) ram[vector * 4 + 1] = std::byte{kHandler >> 8};
    put(kHandler, {0xe6, 0x81, 0xcf});
    EXPECT_TRUE(vm->map_ram(ram.data(), 0, ram.size(), seam::Prot::kReadWriteExec));
    vcpu = std::move(*vm->create_vcpu(0));
  }
  static void put(uint64_t at, std::initializer_list<uint8_t> code) {
    std::ranges::transform(code, ram.begin() + static_cast<ptrdiff_t>(at),
                           [](uint8_t b) { return std::byte{b}; });
  }
  void load(std::initializer_list<uint8_t> code, contract::x86::PendingEvents events = {}) {
    put(kCode, code);
    auto state = *vcpu->capture_snapshot();
    state.segments[contract::x86::kCs].selector = 0;
    state.segments[contract::x86::kCs].base = 0;
    state.rip = kCode;
    state.gpr[contract::x86::kRsp] = 0x8000;
    state.events = events;
    ASSERT_TRUE(vcpu->restore_snapshot(state));
  }
  void expect_stop(DebugCause cause, uint64_t addr) {
    const seam::VcpuExit exit = vcpu->step();
    ASSERT_EQ(exit.kind, seam::VcpuExit::Kind::kDebug);
    EXPECT_EQ(exit.cause, cause);
    EXPECT_EQ(exit.virt_addr, addr);
  }
  void expect_output(uint16_t port) {
    const seam::VcpuExit exit = vcpu->step();
    ASSERT_EQ(exit.kind, seam::VcpuExit::Kind::kIo);
    EXPECT_EQ(exit.port, port);
  }

  alignas(4096) static inline std::array<std::byte, 0x10000> ram{};
  std::unique_ptr<SoftVm> vm = std::move(*SoftVm::create(1));
  std::unique_ptr<SoftVcpu> vcpu;
};

TEST_F(SoftDebug, AStepThatFaultsEndsAtItsHandler) {
  load({0x90, 0x0f, 0x0b});  // nop; ud2
  ASSERT_TRUE(vcpu->set_debug({.single_step = true}));
  expect_stop(DebugCause::kStep, kCode + 1);
  expect_stop(DebugCause::kStep, kHandler);
  expect_output(0x81);
  expect_stop(DebugCause::kStep, kHandler + 2);
  expect_stop(DebugCause::kStep, kCode + 1);
}

TEST_F(SoftDebug, TheGuestsOwnStepsAreItsOwn) {
  load({0x68, 0x02, 0x01, 0x9d, 0x90, 0x90});  // push 102h; popf; nop; nop
  ASSERT_TRUE(vcpu->set_debug({.single_step = true}));
  expect_stop(DebugCause::kStep, kCode + 3);
  expect_stop(DebugCause::kStep, kCode + 4);
  expect_stop(DebugCause::kStep, kHandler);
  EXPECT_EQ(vcpu->capture_snapshot()->dr6 & 0x4000, 0x4000U);
}

TEST_F(SoftDebug, InterruptsWaitWhileItSteps) {
  load({0x90, 0x90, 0x90}, {.nmi_pending = true, .in_flight = {}});
  ASSERT_TRUE(vcpu->set_debug({.single_step = true}));
  expect_stop(DebugCause::kStep, kCode + 1);
  expect_stop(DebugCause::kStep, kCode + 2);
  ASSERT_TRUE(vcpu->set_debug({}));
  expect_output(0x81);
}

TEST_F(SoftDebug, AHaltIsAStepAndWhatEndsItIsTaken) {
  load({0xf4, 0x90});  // hlt; nop
  ASSERT_TRUE(vcpu->set_debug({.single_step = true}));
  expect_stop(DebugCause::kStep, kCode + 1);
  EXPECT_TRUE(vcpu->capture_snapshot()->events.halted);
  load({0x90, 0x90}, {.nmi_pending = true, .halted = true, .in_flight = {}});
  expect_output(0x81);
  expect_stop(DebugCause::kStep, kHandler + 2);
}

TEST_F(SoftDebug, ABreakpointIsInNoOtherPage) {
  load({0x90, 0xe6, 0x80, 0xeb, 0xfb});  // again: nop; out 80h,al; jmp again
  const DebugOptions elsewhere{
      .points = {{Kind::kExecute, 1, 0x5000}, {Kind::kExecute, 1, 0x4001}}};
  ASSERT_TRUE(vcpu->set_debug(elsewhere));
  for (int i = 0; i < 3; ++i) expect_output(0x80);
  ASSERT_TRUE(vcpu->set_debug({.points = {{Kind::kExecute, 1, kCode + 1}}}));
  expect_stop(DebugCause::kBreakpoint, kCode + 1);
  expect_output(0x80);
}

TEST_F(SoftDebug, ABreakpointAtInt3ComesFirst) {
  load({0xcc, 0xeb, 0xfd});  // again: int3; jmp again
  ASSERT_TRUE(
      vcpu->set_debug({.software_breakpoints = true, .points = {{Kind::kExecute, 1, kCode}}}));
  for (int i = 0; i < 2; ++i) {
    expect_stop(DebugCause::kBreakpoint, kCode);
    expect_stop(DebugCause::kSoftwareBreakpoint, kCode);
    expect_output(0x81);
  }
}

TEST_F(SoftDebug, AWatchedPageIsNotWrittenPast) {
  // mov di,3000h; mov cx,8; rep stosb; mov byte [3004h],5; mov byte [3005h],5; out 80h,al
  load({0xbf, 0x00, 0x30, 0xb9, 8,    0,    0xf3, 0xaa, 0xc6, 0x06, 0x04,
        0x30, 5,    0xc6, 0x06, 0x05, 0x30, 5,    0xe6, 0x80, 0xeb, 0xea});
  expect_output(0x80);  // the TLB knows the page
  ASSERT_TRUE(vcpu->set_debug({.points = {{Kind::kWrite, 1, kData + 4}}}));
  for (int i = 0; i < 2; ++i) {
    expect_stop(DebugCause::kWatchpoint, kData + 4);
    EXPECT_EQ(vcpu->get_core(seam::CoreReg::pc()), kCode + 8) << "a string is written to its end";
    expect_stop(DebugCause::kWatchpoint, kData + 4);
    EXPECT_EQ(vcpu->get_core(seam::CoreReg::pc()), kCode + 13);
    expect_output(0x80);
  }
  ASSERT_TRUE(vcpu->set_debug({}));
  for (int i = 0; i < 2; ++i) expect_output(0x80);
}

}  // namespace
}  // namespace husk::soft
