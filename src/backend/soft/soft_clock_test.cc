// The guest's clocks over snapshots, from processors of other rates too.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "backend/soft/soft_vm.h"
#include "base/clock.h"
#include "contract/x86/state_msrs.h"

namespace husk::soft {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

constexpr uint64_t kSecond = 1'000'000'000, kClockPage = 0x3000;
constexpr uint32_t kKhz = 2'600'000;

void set_msr(VcpuState& state, uint32_t index, uint64_t value) {
  const auto found = std::ranges::find(state.msrs, index, &Msr::index);
  ASSERT_NE(found, state.msrs.end());
  found->value = value;
}

// Another machine with the same memory, in which kvmclock writes at kClockPage.
struct Machine {
  Machine() {
    EXPECT_TRUE(vm->map_ram(ram.data(), 0, ram.size(), seam::Prot::kReadWriteExec));
    vcpu = std::move(*vm->create_vcpu(0));
  }
  void restore(const VcpuState& state, uint64_t guest_ns) {
    ASSERT_TRUE(vcpu->restore_snapshot(state));
    vcpu->restore_clock({.guest_ns = guest_ns}, base::monotonic_ns());
  }
  VcpuState capture() { return *vcpu->capture_snapshot(); }

  alignas(4096) static inline std::array<std::byte, 0x10000> ram{};
  std::unique_ptr<SoftVm> vm = std::move(*SoftVm::create(1));
  std::unique_ptr<SoftVcpu> vcpu;
};

uint64_t captured_ns(const VcpuState& state) {
  return SoftVcpu::capture_clock_ref(state, base::monotonic_ns()).guest_ns;
}

// What a guest makes of kvmclock when its TSC is the state's (Linux, arch/x86/include/asm/pvclock.h
// describes the arithmetic).
uint64_t kvmclock_ns(const VcpuState& state) {
  struct {
    uint32_t version, pad;
    uint64_t tsc_timestamp, system_time;
    uint32_t multiplier;
    int8_t shift;
    uint8_t flags, pads[2];
  } info;
  std::memcpy(&info, Machine::ram.data() + kClockPage, sizeof(info));
  uint64_t ticks = find_msr(state, kMsrTsc)->value - info.tsc_timestamp;
  ticks = info.shift >= 0 ? ticks << info.shift : ticks >> -info.shift;
  return info.system_time +
         static_cast<uint64_t>(static_cast<unsigned __int128>(ticks) * info.multiplier >> 32);
}

void expect_soon_after(uint64_t actual, uint64_t expected) {
  EXPECT_GE(actual, expected);
  EXPECT_LT(actual, expected + 10 * kSecond);
}

VcpuState state_of_another_processor() {
  VcpuState state = Machine().capture();
  state.tsc_khz = kKhz;
  set_msr(state, kMsrKvmclock, kClockPage | 1);
  return state;
}

TEST(SoftClock, TheTscGoesOnAtTheRateThatTheGuestKnows) {
  Machine machine;
  machine.restore(state_of_another_processor(), 100 * kSecond);
  const VcpuState state = machine.capture();
  EXPECT_EQ(state.tsc_khz, kKhz);
  expect_soon_after(captured_ns(state), 100 * kSecond - 1);
  expect_soon_after(find_msr(state, kMsrTsc)->value, tsc_ticks(100 * kSecond, kKhz));
}

TEST(SoftClock, KvmclockAgreesWithItOverGenerations) {
  VcpuState state = state_of_another_processor();
  for (uint64_t generation = 1; generation < 4; ++generation) {
    Machine machine;
    machine.restore(state, generation * 100 * kSecond);
    state = machine.capture();
    const uint64_t ns = captured_ns(state);
    expect_soon_after(ns, generation * 100 * kSecond - 1);
    EXPECT_NEAR(static_cast<double>(kvmclock_ns(state)), static_cast<double>(ns), 2'000);
  }
}

TEST(SoftClock, WhoReadsKvmclockAtThatMomentReadsItAgain) {
  const VcpuState state = state_of_another_processor();
  Machine().restore(state, kSecond);
  uint32_t before = 0, after = 0;
  std::memcpy(&before, Machine::ram.data() + kClockPage, sizeof(before));
  Machine().restore(state, kSecond);
  std::memcpy(&after, Machine::ram.data() + kClockPage, sizeof(after));
  EXPECT_NE(before, after);
  EXPECT_EQ(after % 2, 0U) << "and not in the middle of an update";
}

TEST(SoftClock, KvmclockIsExactAtItsOwnRate) {
  VcpuState state = Machine().capture();
  EXPECT_EQ(state.tsc_khz, 1'000'000U);
  set_msr(state, kMsrKvmclock, kClockPage | 1);
  Machine machine;
  machine.restore(state, 1'000 * kSecond);
  state = machine.capture();
  EXPECT_EQ(kvmclock_ns(state), captured_ns(state));
}

TEST(SoftClock, ADeadlineIsMetAtTheRateThatTheGuestKnows) {
  constexpr size_t kSpurious = 0xf0, kTimer = 0x320;
  constexpr uint32_t kEnable = 0x1ff, kDeadlineMode = 2u << 17 | 0x40;
  VcpuState state = state_of_another_processor();
  std::memcpy(&state.lapic[kSpurious], &kEnable, sizeof(kEnable));
  std::memcpy(&state.lapic[kTimer], &kDeadlineMode, sizeof(kDeadlineMode));
  set_msr(state, kMsrTscDeadline, tsc_ticks(100 * kSecond + kSecond / 50, kKhz));
  std::memcpy(Machine::ram.data() + 0x40 * 4, "\x00\x20\x00\x00", 4);
  std::memcpy(Machine::ram.data() + 0x1000, "\xf4", 1);      // hlt
  std::memcpy(Machine::ram.data() + 0x2000, "\xe6\x80", 2);  // out 80h, al
  state.segments[kCs].base = 0;
  state.rip = 0x1000;
  state.rflags = 0x202;
  state.gpr[kRsp] = 0x8000;
  Machine machine;
  const uint64_t start = base::monotonic_ns();
  machine.restore(state, 100 * kSecond);
  EXPECT_EQ(machine.vcpu->step().kind, seam::VcpuExit::Kind::kIo) << "the timer's handler";
  expect_soon_after(base::monotonic_ns() - start, kSecond / 50);
}

}  // namespace
}  // namespace husk::soft
