// Registers, snapshots and clocks.
#pragma once

#include <bit>
#include <sstream>

#include "base/clock.h"
#include "suite.h"

namespace husk::contract_tests {

template <class Vm>
class State : public BackendTest<Vm> {};
TYPED_TEST_SUITE_P(State);

using seam::CoreReg;

TYPED_TEST_P(State, CoreRegistersAreWhatTheGuestHas) {
  Machine<TypeParam> machine;
  machine.load(PROGRAM(store), {kData, 0xfeedface});
  EXPECT_EQ(*machine.vcpu().get_core(CoreReg::pc()), kCode);
  EXPECT_EQ(*machine.vcpu().get_core(kArguments[1]), 0xfeedfaceU);
  EXPECT_EQ(machine.report(), 0xfeedfaceU);
  ASSERT_TRUE(machine.vcpu().set_core(kArguments[1], 0xabcd));
  ASSERT_TRUE(machine.vcpu().set_core(CoreReg::pc(), kCode));
  EXPECT_EQ(machine.report(), 0xabcdU);
}

TYPED_TEST_P(State, RegistersThatAreNoneAreRefused) {
  Machine<TypeParam> machine;
  EXPECT_FALSE(machine.vcpu().get_core(CoreReg::x(31)));
  EXPECT_FALSE(machine.vcpu().set_core(CoreReg::x(200), 1));
}

TYPED_TEST_P(State, EveryVcpuKnowsWhichItIs) {
  Machine<TypeParam> machine(3);
  for (uint32_t id = 0; id < 3; ++id)
    EXPECT_EQ(*machine.vcpu(id).get_sys(seam::SysReg::kMpidrEl1) & 0xff, id);
}

TYPED_TEST_P(State, VcpusAreMadeInOrderAndNoMoreThanThereAre) {
  auto vm = std::move(*TypeParam::create(2));
  EXPECT_FALSE(vm->create_vcpu(1)) << "not the first";
  auto first = vm->create_vcpu(0);
  EXPECT_TRUE(first);
  EXPECT_FALSE(vm->create_vcpu(0)) << "again";
  auto second = vm->create_vcpu(1);
  EXPECT_TRUE(second);
  EXPECT_FALSE(vm->create_vcpu(2)) << "too many";
  EXPECT_FALSE(TypeParam::create(0));
  EXPECT_FALSE(TypeParam::create(100000));
}

template <class Vcpu>
typename Vcpu::SnapshotState through_a_stream(const typename Vcpu::SnapshotState& state) {
  std::stringstream stream;
  EXPECT_TRUE(Vcpu::write_snapshot_state(state, stream));
  stream << "behind";
  auto again = Vcpu::read_snapshot_state(stream);
  EXPECT_TRUE(again);
  std::string rest;
  stream >> rest;
  EXPECT_EQ(rest, "behind") << "exactly its own bytes";
  return std::move(*again);
}

// Floating-point registers are live over the snapshot, and so is where the guest is.
TYPED_TEST_P(State, ASnapshotGoesOnInAnotherVm) {
  using Vcpu = typename TypeParam::Vcpu;
  if (const std::string why = limits<TypeParam>(); !why.empty()) GTEST_SKIP() << why;
  Machine<TypeParam> first, second;
  const auto bits = [](double value) { return std::bit_cast<uint64_t>(value); };
  first.load(PROGRAM(float), {bits(10), bits(0.5), kData});
  EXPECT_EQ(first.report(), bits(10.5));
  EXPECT_EQ(first.report(), bits(11));
  EXPECT_EQ(first.report(), bits(11));
  const auto captured = first.vcpu().capture_snapshot();
  ASSERT_TRUE(captured) << captured.error().message();
  const auto state = through_a_stream<Vcpu>(*captured);
  for (const memory::Region& region : first.memory->regions())
    ASSERT_TRUE(second.memory->write(region.start, {region.host, region.size}));
  const auto restored = second.vcpu().restore_snapshot(state);
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(second.report(), bits(12));
  EXPECT_EQ(second.report(), bits(11.5));
  EXPECT_EQ(second.report(), bits(13));
  EXPECT_EQ(first.report(), bits(12)) << "and in the first";
}

TYPED_TEST_P(State, ASnapshotWaitsForTheDevicesAnswer) {
  using Vcpu = typename TypeParam::Vcpu;
  Machine<TypeParam> first, second;
  first.load(PROGRAM(mmio_read), {kDevice});
  EXPECT_EQ(first.next().size, 1);
  const auto early = first.vcpu().capture_snapshot();
  ASSERT_FALSE(early) << "nobody knows yet what the guest reads";
  EXPECT_EQ(early.error().kind, ErrorKind::kState);
  first.vcpu().set_read_data(0x77);
  const auto captured = first.vcpu().capture_snapshot();
  ASSERT_TRUE(captured) << captured.error().message();
  second.load(PROGRAM(mmio_read), {kDevice});
  ASSERT_TRUE(second.vcpu().restore_snapshot(through_a_stream<Vcpu>(*captured)));
  EXPECT_EQ(second.report(), 0x77U) << "the answer is part of the state";
  EXPECT_EQ(first.report(), 0x77U) << "and is not lost to the first";
}

TYPED_TEST_P(State, AStateThatIsCutOrForeignIsRefused) {
  using Vcpu = typename TypeParam::Vcpu;
  Machine<TypeParam> machine;
  machine.load(PROGRAM(spin));
  std::stringstream stream;
  ASSERT_TRUE(Vcpu::write_snapshot_state(*machine.vcpu().capture_snapshot(), stream));
  const std::string bytes = stream.str();
  for (const size_t length : {size_t{0}, size_t{3}, bytes.size() / 2, bytes.size() - 1}) {
    std::stringstream cut(bytes.substr(0, length));
    EXPECT_FALSE(Vcpu::read_snapshot_state(cut)) << length;
  }
  std::stringstream foreign("#!/bin/sh\n" + bytes);
  EXPECT_FALSE(Vcpu::read_snapshot_state(foreign));
}

// Guest time goes on from the reference, whatever happened in between, and never back.
TYPED_TEST_P(State, TimeGoesOnOverASnapshot) {
  using Vcpu = typename TypeParam::Vcpu;
  if (const std::string why = limits<TypeParam>(); !why.empty()) GTEST_SKIP() << why;
  Machine<TypeParam> first, second;
  first.load(PROGRAM(clock));
  const uint64_t before = first.report();
  const auto state = first.vcpu().capture_snapshot();
  ASSERT_TRUE(state);
  const uint64_t now = TypeParam::host_monotonic_ticks();
  const seam::ClockRef ref = Vcpu::capture_clock_ref(*state, now);
  EXPECT_EQ(ref.host_monotonic_ns, now);
  EXPECT_NEAR(static_cast<double>(ref.host_realtime_ns), static_cast<double>(base::realtime_ns()),
              5e9);
  ::usleep(300'000);
  second.load(PROGRAM(clock));
  second.report();
  ASSERT_TRUE(second.vcpu().restore_snapshot(*state));
  second.vcpu().restore_clock(ref, TypeParam::host_monotonic_ticks());
  const uint64_t after = second.report();
  EXPECT_GE(after, before) << "never back";
  // What the guest's clock counts in a second, as it shows itself.
  const uint64_t start = base::monotonic_ns();
  const uint64_t from = second.report();
  ::usleep(100'000);
  const auto rate = static_cast<double>(second.report() - from) /
                    static_cast<double>(base::monotonic_ns() - start) * 1e9;
  EXPECT_LT(static_cast<double>(after - before), rate * 0.2) << "nor on while it was frozen";
}

TYPED_TEST_P(State, AnInterruptControllersStateGoesOnInAnotherVmAndNonsenseDoesNot) {
  constexpr uint32_t kLine = 5;
  Machine<TypeParam> first, second;
  const auto fresh = first.vm->capture_intc();
  ASSERT_TRUE(fresh) << fresh.error().message();
  ASSERT_FALSE(fresh->empty());
  first.vm->set_irq(kLine, true);
  const auto state = first.vm->capture_intc();
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_NE(*state, *fresh) << "a line is up";
  const auto restored = second.vm->restore_intc(*state);
  ASSERT_TRUE(restored) << restored.error().message();
  const auto again = second.vm->capture_intc();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *state);
  EXPECT_FALSE(second.vm->restore_intc(std::span(*state).subspan(1)));
  EXPECT_FALSE(second.vm->restore_intc({}));
  EXPECT_EQ(*second.vm->capture_intc(), *state) << "what is refused changes nothing";
}

// Nobody here carries a guest's guest: what is one, or may have one, is refused.
TYPED_TEST_P(State, AHypervisorsStateIsRefused) {
  Machine<TypeParam> machine;
  machine.load(PROGRAM(store), {kData, 7});
  const auto plain = entry_state(*machine.memory, kCode, kStack);
  ASSERT_TRUE(plain);
  for (const EntryState& state : hypervisors(*plain)) {
    const auto restored = machine.vcpu().restore_snapshot(state);
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(restored.error().message().find("nested virtualization"), std::string::npos);
  }
  EXPECT_EQ(machine.report(), 7U) << "and nothing is lost by it";
}

REGISTER_TYPED_TEST_SUITE_P(State, CoreRegistersAreWhatTheGuestHas, RegistersThatAreNoneAreRefused,
                            EveryVcpuKnowsWhichItIs, VcpusAreMadeInOrderAndNoMoreThanThereAre,
                            ASnapshotGoesOnInAnotherVm, ASnapshotWaitsForTheDevicesAnswer,
                            AStateThatIsCutOrForeignIsRefused, TimeGoesOnOverASnapshot,
                            AnInterruptControllersStateGoesOnInAnotherVmAndNonsenseDoesNot,
                            AHypervisorsStateIsRefused);

}  // namespace husk::contract_tests
