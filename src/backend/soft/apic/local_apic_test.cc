// Acceptance, priorities, delivery and EOI.
#include "backend/soft/apic/local_apic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/soft/apic/apic_test_rig.h"

namespace husk::soft::apic::testing {
namespace {

using contract::DeliveryMode;
using ::testing::ElementsAre;

TEST(LocalApic, TakesTheHighestVectorAndServesItUntilEoi) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  apic.accept(fixed(0x31));
  apic.accept(fixed(0xef));
  apic.accept(fixed(0x80));
  EXPECT_EQ(apic.take_interrupt(), 0xef);
  EXPECT_EQ(get(apic, kIsr + 7), 1u << 15);
  EXPECT_EQ(get(apic, kPpr), 0xe0u);
  EXPECT_FALSE(apic.has_interrupt()) << "lower classes wait";
  put(apic, kEoi, 0);
  EXPECT_EQ(apic.take_interrupt(), 0x80);
  put(apic, kEoi, 0);
  EXPECT_EQ(apic.take_interrupt(), 0x31);
  put(apic, kEoi, 0);
  EXPECT_EQ(apic.take_interrupt(), std::nullopt);
}

TEST(LocalApic, AHigherClassNestsAndTheSameClassDoesNot) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  apic.accept(fixed(0x41));
  ASSERT_EQ(apic.take_interrupt(), 0x41);
  apic.accept(fixed(0x4f));
  EXPECT_EQ(apic.take_interrupt(), std::nullopt);
  apic.accept(fixed(0x50));
  EXPECT_EQ(apic.take_interrupt(), 0x50);
  put(apic, kEoi, 0);
  EXPECT_EQ(get(apic, kPpr), 0x40u) << "EOI ends the highest one";
}

TEST(LocalApic, TprHoldsBackItsClassAndBelow) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  apic.accept(fixed(0x55));
  apic.set_tpr_class(5);
  EXPECT_EQ(get(apic, kTpr), 0x50u);
  EXPECT_FALSE(apic.has_interrupt());
  EXPECT_EQ(get(apic, kPpr), 0x50u);
  put(apic, kTpr, 0x4f);
  EXPECT_EQ(apic.tpr_class(), 4u);
  EXPECT_EQ(apic.take_interrupt(), 0x55);
}

TEST(LocalApic, EoiOfALevelInterruptReachesTheController) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  apic.accept(fixed(0x61, true));
  EXPECT_EQ(get(apic, kTmr + 3), 2u);
  ASSERT_EQ(apic.take_interrupt(), 0x61);
  put(apic, kEoi, 0);
  EXPECT_THAT(machine.controller.ended, ElementsAre(0x61));
  apic.accept(fixed(0x61, false));
  EXPECT_EQ(get(apic, kTmr + 3), 0u) << "the trigger mode is that of the last acceptance";
  ASSERT_EQ(apic.take_interrupt(), 0x61);
  put(apic, kEoi, 0);
  put(apic, kEoi, 0);
  EXPECT_THAT(machine.controller.ended, ElementsAre(0x61));
}

TEST(LocalApic, OneMessageMoreWaitsWhileTheVectorIsServed) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  apic.accept(fixed(0x70));
  ASSERT_EQ(apic.take_interrupt(), 0x70);
  apic.accept(fixed(0x70));
  apic.accept(fixed(0x70));
  put(apic, kEoi, 0);
  EXPECT_EQ(apic.take_interrupt(), 0x70);
  put(apic, kEoi, 0);
  EXPECT_EQ(apic.take_interrupt(), std::nullopt);
}

TEST(LocalApic, IllegalVectorIsAnErrorAndNoInterrupt) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  put(apic, kLvtError, 0x44);
  apic.accept(fixed(15));
  EXPECT_EQ(get(apic, kEsr), 0u) << "ESR shows errors once it is written";
  put(apic, kEsr, 0xffffffff);
  EXPECT_EQ(get(apic, kEsr), kErrorReceiveIllegal);
  EXPECT_EQ(apic.take_interrupt(), 0x44);
  put(apic, kEsr, 0);
  EXPECT_EQ(get(apic, kEsr), 0u);
}

TEST(LocalApic, DisabledBySoftwareItDropsVectorsButHearsNmiAndInit) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  put(apic, kSpurious, 0xff);
  apic.accept(fixed(0x50));
  EXPECT_EQ(get(apic, kIrr + 2), 0u);
  apic.accept({.mode = DeliveryMode::kNmi});
  apic.accept({.mode = DeliveryMode::kInit});
  EXPECT_EQ(machine.signals[0].take(), kSignalNmi | kSignalInit);
  EXPECT_EQ(get(apic, kLvtLint0) & kLvtMasked, kLvtMasked);
  put(apic, kLvtTimer, 0x40);
  EXPECT_EQ(get(apic, kLvtTimer), 0x40 | kLvtMasked) << "an entry cannot be unmasked meanwhile";
}

TEST(LocalApic, InitWithdrawsAnEarlierStartup) {
  Machine machine(2);
  machine[1].accept({.mode = DeliveryMode::kStartup, .vector = 0x9a});
  machine[1].accept({.mode = DeliveryMode::kInit});
  EXPECT_EQ(machine.signals[1].take(), kSignalInit);
  machine[1].accept({.mode = DeliveryMode::kStartup, .vector = 0x12});
  EXPECT_EQ(machine.signals[1].take(), kSignalStartup);
  EXPECT_EQ(machine[1].startup_vector(), 0x12);
}

TEST(LocalApic, ExtintComesThroughLint0InVirtualWireMode) {
  Machine machine(2);
  machine.bus.set_extint(true);
  EXPECT_TRUE(machine[0].has_interrupt());
  EXPECT_FALSE(machine[1].has_interrupt());
  EXPECT_EQ(machine[0].take_interrupt(), 0x21);
  EXPECT_EQ(get(machine[0], kIsr + 1), 0u) << "an ExtINT is not in service";
  machine.bus.set_extint(false);
  EXPECT_EQ(machine[0].take_interrupt(), std::nullopt);
  EXPECT_EQ(machine.controller.acknowledged, 1);
}

TEST(LocalApic, MaskedOrFixedLint0IsNoExtint) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  put(apic, kLvtLint0, kLvtMasked | 0x700);
  machine.bus.set_extint(true);
  EXPECT_FALSE(apic.has_interrupt());
  machine.bus.set_extint(false);
  put(apic, kLvtLint0, 0x30);
  machine.bus.set_extint(true);
  EXPECT_EQ(apic.take_interrupt(), 0x30);
  machine.bus.set_extint(true);
  EXPECT_EQ(get(apic, kIrr + 1), 0u) << "the pin did not rise again";
  EXPECT_EQ(machine.controller.acknowledged, 0);
}

TEST(LocalApic, DisabledByHardwareLint0IsTheIntrPin) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  ASSERT_TRUE(apic.write_msr(kApicBaseMsr, LocalApic::kDefaultBase));
  EXPECT_EQ(apic.page(), std::nullopt);
  machine.bus.set_extint(true);
  EXPECT_EQ(apic.take_interrupt(), 0x21);
  apic.accept(fixed(0x40));
  machine.bus.set_extint(false);
  EXPECT_EQ(apic.take_interrupt(), std::nullopt);
}

TEST(LocalApic, TimerFiresItsVectorUnlessMasked) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  put(apic, kLvtTimer, 0xec);
  put(apic, kDivide, 0xb);
  put(apic, kInitialCount, 5000);
  EXPECT_EQ(apic.timer_deadline(), fake_now_ns + 5000);
  fake_now_ns += 2000;
  EXPECT_EQ(get(apic, kCurrentCount), 3000u);
  EXPECT_EQ(apic.update_timer(fake_now_ns), fake_now_ns + 3000);
  EXPECT_FALSE(apic.has_interrupt());
  fake_now_ns += 3000;
  EXPECT_EQ(apic.update_timer(fake_now_ns), 0u);
  EXPECT_EQ(apic.take_interrupt(), 0xec);
  put(apic, kLvtTimer, 0xec | kLvtMasked);
  put(apic, kInitialCount, 5000);
  fake_now_ns += 5000;
  EXPECT_EQ(apic.update_timer(fake_now_ns), 0u) << "masked, it runs out all the same";
  put(apic, kEoi, 0);
  EXPECT_FALSE(apic.has_interrupt());
}

TEST(LocalApic, WhatWasDueIsNotChangedByALaterWrite) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  put(apic, kLvtTimer, 0xec | kLvtMasked);
  put(apic, kInitialCount, 500);
  fake_now_ns += 1'000'000;
  put(apic, kLvtTimer, 0xec);
  apic.update_timer(fake_now_ns);
  EXPECT_FALSE(apic.has_interrupt()) << "it ended while it was masked";
  put(apic, kInitialCount, 500);
  fake_now_ns += 1'000'000;
  put(apic, kInitialCount, 0);
  EXPECT_EQ(apic.take_interrupt(), 0xec) << "it ended before it was stopped";
  put(apic, kEoi, 0);
  put(apic, kLvtTimer, 0x400ec);
  ASSERT_TRUE(apic.write_msr(kTscDeadlineMsr, fake_now_ns + 100));
  fake_now_ns += 1'000'000;
  ASSERT_TRUE(apic.write_msr(kTscDeadlineMsr, 0));
  EXPECT_EQ(apic.take_interrupt(), 0xec);
}

TEST(LocalApic, TscDeadlineHonoursTscAdjust) {
  Machine machine(1);
  LocalApic& apic = machine[0];
  put(apic, kLvtTimer, 0x400ec);
  ASSERT_TRUE(apic.write_msr(kTscDeadlineMsr, fake_now_ns + 10'000));
  EXPECT_EQ(apic.timer_deadline(), fake_now_ns + 10'000);
  apic.set_tsc({.adjust = 4'000});
  EXPECT_EQ(apic.timer_deadline(), fake_now_ns + 6'000);
  EXPECT_EQ(apic.read_msr(kTscDeadlineMsr), fake_now_ns + 10'000);
  fake_now_ns += 6'000;
  apic.update_timer(fake_now_ns);
  EXPECT_EQ(apic.read_msr(kTscDeadlineMsr), 0u);
  EXPECT_EQ(apic.take_interrupt(), 0xec);
}

}  // namespace
}  // namespace husk::soft::apic::testing
